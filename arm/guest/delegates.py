"""Open each TFLite file of the bundles named on the command line; how many of its operators a delegate runs, as JSON.

Runs on the emulated Pi. LiteRT itself names the delegate on stderr, once for each process.
"""

import json
import sys
import zipfile
from collections import Counter

from ai_edge_litert.interpreter import Interpreter

found = {}
for bundle in sys.argv[1:]:
    with zipfile.ZipFile(bundle) as opened:
        for name in sorted(opened.namelist()):
            if name.endswith(".tflite"):
                interpreter = Interpreter(model_content=opened.read(name), num_threads=1)
                interpreter.allocate_tensors()
                found[f"{bundle} {name}"] = Counter(op["op_name"] for op in interpreter._get_ops_details())
sys.stdout.write(json.dumps(found))
