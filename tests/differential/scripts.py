# SPDX-License-Identifier: Apache-2.0
"""Scripts with many ends, for the toolkit and for Trainyard."""
import dataclasses
import textwrap


@dataclasses.dataclass
class Script:
    name: str
    text: str
    last: str = ""  # how ErrorMessage begins here
    program: str = "train.py"
    hyperparameters: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self.text = textwrap.dedent(self.text)


SCRIPTS = [
    Script("success", "print('fine')"),
    Script("an exception", "raise ValueError('bad value')", "ValueError: bad value"),
    Script("an exit code", "import sys; sys.exit(3)"),
    Script("a text as exit code", "import sys; sys.exit('gave up')", "gave up"),
    Script("the highest exit code", "import os; os._exit(255)"),
    Script("a chain of exceptions", """
        try:
            {}["key"]
        except KeyError as error:
            raise RuntimeError("no such key") from error
    """, "RuntimeError: no such key"),
    Script("an exception of the script's own", """
        class Diverged(Exception):
            pass
        raise Diverged("loss is NaN")
    """, "Diverged: loss is NaN"),
    Script("an exception of the script's own that is called Error", """
        class DivergedError(Exception):
            pass
        raise DivergedError("loss is NaN")
    """, "DivergedError: loss is NaN"),
    Script("a warning before", """
        import sys
        print("ignored: ValueError in row 7", file=sys.stderr)
        print("end", flush=True)
        sys.exit(5)
    """, "ignored: ValueError in row 7\nend"),
    Script("an error of TensorFlow", """
        class InvalidArgumentError(Exception):
            pass
        raise InvalidArgumentError("Incompatible shapes: [2] vs. [3]")
    """, "InvalidArgumentError: Incompatible shapes"),
    Script("an error of TensorFlow that was caught", """
        class ResourceExhaustedError(Exception):
            pass
        try:
            raise ResourceExhaustedError("OOM when allocating tensor")
        except ResourceExhaustedError:
            raise SystemExit(__import__("traceback").format_exc())
    """, "ResourceExhaustedError: OOM"),
    Script("SIGKILL", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"),
    Script("SIGSEGV", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"),
    Script("SIGTERM to itself", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"),
    Script("137 without a signal", "import sys; sys.exit(137)"),
    Script("a message in letters of everywhere", "raise RuntimeError('größer als 日本 😀')", "RuntimeError: größer als 日本 😀"),
    Script("a syntax error", "def broken(:", "SyntaxError: "),
    Script("a missing module", "import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    Script("much output before", """
        for number in range(5000):
            print("step", number)
        raise MemoryError("no room")
    """, "MemoryError: no room"),
    Script("bytes that are no text", r"""
        import sys
        sys.stderr.buffer.write(b"\xff\xfe ValueError: \xff\n")
        sys.exit(1)
    """, ""),
    Script("a failure file of its own", """
        import os, sys
        open(os.path.join(os.environ["SM_OUTPUT_DIR"], "failure"), "w").write("the data are bad")
        sys.exit(2)
    """),
    Script("a failure file in spite of success", """
        import os
        open(os.path.join(os.environ["SM_OUTPUT_DIR"], "failure"), "w").write("ignored")
    """),
    Script("a shell program", "#!/bin/sh\necho oops >&2\nexit 4\n", "oops", "run.sh"),
    Script("a shell program with an argument", "#!/bin/sh\nexit $2\n", "", "run.sh", {"n": "6"}),
    Script("arguments", "raise ValueError(' '.join(__import__('sys').argv[1:]))", "ValueError: --epochs 3 --lr 0.1",
           hyperparameters={"lr": "0.1", "epochs": "3"}),
    Script("a list as argument", "raise ValueError(len(__import__('sys').argv))", "ValueError: 3",
           hyperparameters={"layers": "[1]"}),
    Script("weights alone", "import os; open(os.environ['SM_MODEL_DIR'] + '/model.h5', 'w').close()"),
    Script("a SavedModel under a number", """
        import os
        os.makedirs(os.environ["SM_MODEL_DIR"] + "/export/1/variables")
        open(os.environ["SM_MODEL_DIR"] + "/export/1/saved_model.pb", "w").close()
    """),
    Script("a SavedModel under a name", """
        import os
        os.makedirs(os.environ["SM_MODEL_DIR"] + "/export")
        open(os.environ["SM_MODEL_DIR"] + "/export/saved_model.pbtxt", "w").close()
    """),
    Script("a SavedModel at the top", "import os; open(os.environ['SM_MODEL_DIR'] + '/saved_model.pb', 'w').close()"),
    Script("folders without files", "import os; os.makedirs(os.environ['SM_MODEL_DIR'] + '/1')"),
]
