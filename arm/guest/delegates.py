"""Open each TFLite file of the bundles named on the command line; what the engine says of its delegates goes to stderr.

Runs on the emulated Pi: LiteRT names the delegate there once for each interpreter, and nowhere else.
"""

import sys
import zipfile

from ai_edge_litert.interpreter import Interpreter

for bundle in sys.argv[1:]:
    with zipfile.ZipFile(bundle) as opened:
        for name in sorted(opened.namelist()):
            if name.endswith(".tflite"):
                sys.stderr.write(f"opening {bundle} {name}\n")
                sys.stderr.flush()
                Interpreter(model_content=opened.read(name), num_threads=1).allocate_tensors()
