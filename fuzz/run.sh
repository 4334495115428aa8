#!/usr/bin/env bash
# Fuzzes what reads files from strangers, SECONDS each (600 if not given), all targets or those that are named after it: the
# definition decoder, the plugin file, its manifest, the archive; data sets, run directories, state_dicts. Needs `cargo
# install cargo-fuzz` and a release build of the workspace. Seeds lie in fuzz/seeds, what is found goes to fuzz/corpus; a
# crash ends it and leaves its input in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-600}
targets=(definition plugin_file manifest archive data_source run_directory state_dict)
if [ $# -gt 1 ]; then targets=("${@:2}"); fi
# No sanitizer: what is fuzzed is safe Rust, and a panic is what is looked for. Coverage is an option of the stable compiler's too.
libraries=$(dirname "$(readlink -f .libtorch/lib/libtorch_cpu.so)")
export LD_LIBRARY_PATH="$libraries" LIBTORCH="$PWD/.libtorch" OMP_NUM_THREADS=1 RUSTC_BOOTSTRAP=1
mkdir -p fuzz/{corpus,seeds}/{definition,plugin_file,manifest,archive,data_source,run_directory,state_dict}
for plugin in target/release/libtandem_*.so; do
    name=$(basename "$plugin" .so)
    target/release/tandem plugin inspect --run "$plugin" --set width=8 --json 2>/dev/null |
        python3 -c 'import json, sys; json.dump(json.load(sys.stdin)["definition"], sys.stdout)' \
            > "fuzz/corpus/definition/$name.json" || rm -f "fuzz/corpus/definition/$name.json"
done
cc -shared -nostdlib -o fuzz/corpus/plugin_file/seed.so fuzz/seeds/plugin.S
python3 fuzz/corpus.py fuzz/corpus/data_source
# The sound run that `run_directory` damages and whose networks `state_dict` fits.
if [ ! -e fuzz/corpus/run/latest ]; then
    rm -rf fuzz/corpus/run
    target/release/tandem train configs/mnist-32/lsgan-one.toml --out fuzz/corpus/run --set steps=2 --set batch_size=4 \
        --set options.width=4 --set sample_count=4 --set log_every=1 --set checkpoint_every=1 --set sample_every=0
    python3 fuzz/corpus.py fuzz/corpus/run_directory fuzz/corpus/run
    cp fuzz/corpus/run/checkpoints/step-2/generator.safetensors fuzz/corpus/state_dict/
fi
for target in "${targets[@]}"; do
    cargo fuzz run --sanitizer none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 -max_len=262144
done
