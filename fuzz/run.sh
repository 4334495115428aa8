#!/usr/bin/env bash
# Fuzzes the definition decoder and the reader of plugin files, SECONDS each (600 if not given). Needs `cargo install cargo-fuzz`
# and a nightly compiler; a crash ends it and leaves its input in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-600}
export LD_LIBRARY_PATH="$PWD/.libtorch/lib" LIBTORCH="$PWD/.libtorch" OMP_NUM_THREADS=1
mkdir -p fuzz/corpus/definition fuzz/corpus/plugin_file
for plugin in target/release/libtandem_*.so; do
    name=$(basename "$plugin" .so)
    target/release/tandem plugin inspect --run "$plugin" --set width=8 --json 2>/dev/null |
        python3 -c 'import json, sys; json.dump(json.load(sys.stdin)["definition"], sys.stdout)' \
            > "fuzz/corpus/definition/$name.json" || rm -f "fuzz/corpus/definition/$name.json"
done
cc -shared -nostdlib -o fuzz/corpus/plugin_file/seed.so fuzz/seeds/plugin.S
for target in definition plugin_file; do
    cargo +nightly fuzz run --sanitizer none "$target" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096
done
