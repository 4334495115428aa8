"""Prints what TensorBoard's own reader finds in a folder of event files, as JSON: {"scalars": {tag: [[step, value], ...]},
"images": {tag: [[step, width, height, PNG's first bytes in hex], ...]}, "texts": {tag: text},
"descriptions": {tag of a scalar: what the server shows beside its chart}}.

Exit codes: 0, 1 (the reader fails), 3 (TensorBoard is not installed).
"""

import json
import sys

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
except ImportError as error:
    print(f"tensorboard is not installed: {error}", file=sys.stderr)
    sys.exit(3)

import glob

folder = sys.argv[1]
# The loader that the server uses checks every record's sums and converts it; an unreadable one raises.
descriptions = {}
for path in sorted(glob.glob(f"{folder}/*tfevents*")):
    loaded = list(EventFileLoader(path).Load())
    assert loaded, path
    for value in (value for event in loaded for value in event.summary.value):
        if value.metadata.plugin_data.plugin_name == "scalars" and value.metadata.summary_description:
            descriptions.setdefault(value.tag, value.metadata.summary_description)

events = EventAccumulator(folder, size_guidance={"scalars": 0, "images": 0, "tensors": 0})
events.Reload()
tags = events.Tags()
print(
    json.dumps(
        {
            "scalars": {t: [[e.step, e.value] for e in events.Scalars(t)] for t in tags["scalars"]},
            "images": {
                t: [[e.step, e.width, e.height, e.encoded_image_string[:4].hex()] for e in events.Images(t)]
                for t in tags["images"]
            },
            "descriptions": descriptions,
            "texts": {t: events.Tensors(t)[-1].tensor_proto.string_val[0].decode() for t in tags["tensors"]},
        }
    )
)
