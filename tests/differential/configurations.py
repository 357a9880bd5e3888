# SPDX-License-Identifier: Apache-2.0
"""Random training jobs, as the server describes them to an agent: the same ones for the same seed."""
import json
import random
import string

TEXTS = [
    "", "a", "a b", " padded ", "it's", 'say "x"', "both ' and \"", "$HOME", "$(id)", "`id`", "*", ";", "a;b", "a&b", "|",
    ">", "#x", "~", "\\", "a\\nb", "line\nbreak", "tab\there", "\r", "\x07", "\x7f", "é", "ü", "straße", "日本語", "😀", "\u00a0",
    "\u200b", "\ufeff", "\u2028", "3", "3.5", "true", "null", "[1, 2]", '{"a": 1}', "s3://bucket/key", "--help", "-", "=", "a=b",
    "100%", "a,b", "/opt/ml/model", "None", "True", "x" * 300]
FLOATS = ["1e-07", "1e16", "0.1", "-0.0", "1e15", "123456789012345680.0", "1e-5", "1E5", "1E+5", "0.0001", "0.00001", "1.0",
          "5e-324", "1.7976931348623157e308", "1e400", "-1e400", "1e-400", "NaN", "Infinity", "-Infinity", "3.14159265358979"]
INTEGERS = ["0", "-0", "1", "-1", "3", "32", "2147483648", "9223372036854775807", "9223372036854775808", "18446744073709551615",
            "18446744073709551616", "-9223372036854775809", "123456789012345678901234567890"]
# Texts that json.loads refuses or that look like something else.
RAW = ["", " ", "True", "False", "None", "nan", "inf", "01", "1.", ".5", "+1", "0x10", "1_000", "'single'", "{a: 1}", "[1,]",
       "[1 2]", " 3 ", "\t[1]\n", '""', '"', '"unterminated', 'a"b', '"end" x', "s3://bucket/prefix", "plain", "two words",
       "größe", "😀", "\ufeff1", "-", "--", "--help", "1e", "1e+", "[", "]", "{", "nul", "truefalse", "NaNa", "-Infinity ",
       "-NaN", '"\\x"', '"\\u12"', '"\\ud83d\\ude00"', '"tab\there"', "1,2", "[1],", '{"a":1,"a":2}', '{"b":1,"a":2,"b":3}',
       '{"a" : [ ] , "b":{ } }', "[[]]", "{}", "[]", "/opt/ml/model", "\u00a01", "[" * 200 + "]" * 200, '[NaN, -0, 1E2]',
       '["\\ud83d", "\\u0007\\u00a0"]', "*", "$HOME", "--x=1", '"trailing\\""', "a\"", '"quoted"']
NAMES = ["epochs", "learning_rate", "learning-rate", "batch-size", "batch_size", "lr", "LR", "Lr", "x", "X", "é", "É", "ß", "ss",
         "a.b", "a b", "", "-x", "--y", "_z", "ключ", "名前", "ﬁne", "ŉ", "model_dir", "hosts", "HPS", "1", "a/b", "with:colon",
         "MixedCase", "training_env", "ǅ", "tab\tname", "*", "$HOME", "quote'name", 'quote"name', "very_" * 20]
PLATFORM_NAMES = ["sagemaker_", "sagemaker_estimator_class_name", "sagemaker_estimator_module", "sagemaker_foo-bar", "SAGEMAKER_UP",
                  "sagemaker_s3_output_", "default_user_module_name", "sagemaker_enable_cloudwatch_metrics",
                  "sagemaker_network_interface_name"]
CHANNELS = ["train", "Train", "TRAIN", "training", "test", "my-chan", "my_chan", "a.b", "-", "_", "1", ".hidden", "s", "S",
            "validation", "x" * 64, "code", "model", "A-b.C_d", "eval1", "eval2", "eval3"]
ENVIRONMENT = [("FOO", "bar"), ("FOO", ""), ("UMLAUT", "ü"), ("WORDS", "a b 'c'"), ("S3_USE_HTTPS", "0"), ("S3_USE_HTTPS", "1"),
               ("TF_CPP_MIN_LOG_LEVEL", "3"), ("PYTHONPATH", "/extra"), ("SM_MODEL_DIR", "/elsewhere"), ("SM_MINE", "kept"),
               ("SM_HP_MP_PARAMETERS", "{}"), ("SM_HP_MP_PARAMETERS", ""), ("SM_HP_MP_PARAMETERS", '{"a": 1}'),
               ("TF_CONFIG", '{"mine": 1}'), ("MASTER_ADDR", "elsewhere"), ("SAGEMAKER_SUBMIT_DIRECTORY", "/ignored"),
               ("SAGEMAKER_CONTAINER_LOG_LEVEL", "10"), ("SAGEMAKER_PROGRAM", "other.py"), ("SAGEMAKER_PROGRAM", ""),
               ("SAGEMAKER_PROGRAM", "other.sh"), ("CURRENT_HOST", "algo-9"), ("SAGEMAKER_JOB_NAME", "another"),
               ("S3_REGION", "ap-south-1"), ("NCCL_DEBUG", "INFO")]
TRUTHS = ["true"] * 12 + ["1", '"yes"', "True", "[0]", "false", "0", '""', "null", "0.0", "False"]


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, percent):
        return self.random.random() * 100 < percent

    def text(self):
        if self.chance(70):
            return self.random.choice(TEXTS)
        letters = string.printable + "äöéß日本😀\u00a0\u200b"
        return "".join(self.random.choice(letters) for _ in range(self.random.randint(1, 12)))

    def number(self):
        if self.chance(50):
            return self.random.choice(FLOATS + INTEGERS)
        if self.chance(50):
            return str(self.random.randint(-10 ** self.random.randint(1, 40), 10 ** self.random.randint(1, 40)))
        return repr(self.random.uniform(-10, 10) * 10.0 ** self.random.randint(-320, 300))

    def string(self):
        return json.dumps(self.text(), ensure_ascii=self.chance(50))

    def document(self, depth=0):
        """The text of a JSON value, with blanks where JSON allows them."""
        kind = self.random.randint(0, 9 if depth < 4 else 6)
        if kind <= 2:
            return self.number()
        if kind <= 4:
            return self.string()
        if kind <= 6:
            return self.random.choice(["true", "false", "null"])
        blank = self.random.choice(["", " ", "", "\n"])
        items = [self.document(depth + 1) for _ in range(self.random.randint(0, 4))]
        if kind == 7:
            return "[" + blank + ("," + blank).join(items) + "]"
        return "{" + ("," + blank).join(f"{self.string()}{blank}:{item}" for item in items) + blank + "}"

    def value(self):
        kind = self.random.randint(0, 99)
        if kind < 50:
            return self.document()
        if kind < 65:
            return self.string()
        if kind < 90:
            return self.random.choice(RAW)
        damaged = list(self.document())
        for _ in range(self.random.randint(1, 2)):
            at = self.random.randint(0, len(damaged) - 1)
            damaged[at] = self.random.choice(["", ",", "]", "0", "-", "\\", '"', "e", "."])
        return "".join(damaged)

    def hyperparameters(self):
        names = self.random.sample(NAMES, self.random.randint(0, 14))
        names += self.random.sample(PLATFORM_NAMES, self.random.randint(0, 3))
        names += ["h" + "".join(self.random.choice(string.ascii_letters + "-_.") for _ in range(self.random.randint(0, 8)))
                  for _ in range(self.random.randint(0, 3))]
        found = {name: self.value() for name in names}
        if "model_dir" in found or self.chance(40):
            found["model_dir"] = self.random.choice(
                ['"s3://bucket/job/model"', "s3://bucket/raw", '"/opt/ml/model"', '"/opt/ml"', '"relative"', '""', "null", "false"])
            if self.chance(5):
                found["model_dir"] = self.random.choice(["5", "true", "[1]"])
        if self.chance(15):
            found["_tuning_objective_metric"] = self.random.choice(["loss", '"loss"', "validation:accuracy"])
        if self.chance(1):
            found["text"] = self.random.choice(['"nul\\u0000"', '"half \\ud83d"'])
        if self.chance(1):
            found["a=b"] = "1"
        return found

    def platform_hyperparameters(self, program):
        found = {}
        if program is not None:
            found["sagemaker_program"] = json.dumps(program) if self.chance(70) else program
        if self.chance(80):
            found["sagemaker_submit_directory"] = self.random.choice(
                ['"s3://bucket/source/sourcedir.tar.gz"', "s3://bucket/raw.tar.gz", '"/opt/ml/input/data/code/sourcedir.tar.gz"'])
        if self.chance(70):
            found["sagemaker_job_name"] = self.random.choice(['"job-1"', "job-1", '"another name"'])
        if self.chance(70):
            found["sagemaker_container_log_level"] = self.random.choice(["20", "10", "40"])
        if self.chance(70):
            found["sagemaker_region"] = self.random.choice(['"us-west-2"', '"eu-central-1"', "us-east-1"])
        return found

    def distribution(self, framework, groups):
        found = {}
        kind = self.random.choice(["none", "none", "parameter_server", "multi_worker_mirrored_strategy", "mpi", "torch_distributed"])
        if kind != "none":
            found[f"sagemaker_{kind}_enabled"] = self.random.choice(TRUTHS)
        if kind in ("mpi", "torch_distributed"):
            if self.chance(50):
                found["sagemaker_mpi_num_of_processes_per_host"] = self.random.choice(["1", "2", "8"])
            if self.chance(40):
                found["sagemaker_mpi_custom_mpi_options"] = json.dumps(self.random.choice(["", "--NCCL_DEBUG WARN -x FOO", "-v"]))
        if kind == "parameter_server" and self.chance(10):
            found["sagemaker_multi_worker_mirrored_strategy_enabled"] = "true"
        if self.chance(25):
            names = [group["name"] for group in groups] or ["homogeneousCluster"]
            chosen = self.random.sample(names, self.random.randint(0, len(names)))
            if self.chance(10):
                chosen.append("nobody")
            found["sagemaker_distribution_instance_groups"] = json.dumps(chosen)
        return found

    def instance_groups(self, hosts):
        if self.chance(60):
            return []
        count = self.random.randint(1, min(3, len(hosts)))
        names = self.random.sample(["workers", "group-1", "Group 2", "chief", "homogeneousCluster", "ü"], count)
        cuts = sorted(self.random.sample(range(1, len(hosts)), count - 1))
        return [{"name": name, "instance_type": self.random.choice(["ml.m5.large", "ml.p3.2xlarge", "ml.c5.xlarge"]),
                 "hosts": hosts[begin:end]} for name, begin, end in zip(names, [0, *cuts], [*cuts, len(hosts)])]

    def channels(self):
        return [{"name": name, "s3_uri": f"s3://bucket/{name}", "data_type": "S3Prefix",
                 "distribution": self.random.choice(["FullyReplicated", "ShardedByS3Key"]),
                 "input_mode": self.random.choice(["File", "File", "FastFile", "Pipe"]),
                 "content_type": self.random.choice(["", "", "text/csv", "application/x-tfrecord; a=ü"]),
                 "is_gzip": False, "is_record_io": self.chance(20)}
                for name in self.random.sample(CHANNELS, self.random.choice([0, 1, 1, 2, 3, 5, 20]))]

    def program(self):
        kind = self.random.randint(0, 99)
        if kind < 1:
            return None
        if kind < 2:
            return "3"  # reads as a number
        if kind < 55:
            return self.random.choice(["train.py", "train.py", "deep/er.py", "a-b.c.py", "UPPER.PY.py"])
        if kind < 58:
            return self.random.choice(["two words.py", "two words.sh"])
        if kind < 60:
            return "odd.pyx.py"
        return self.random.choice(["run.sh", "run.sh", "bin/run.sh", "command", "binary.exe", "train.pyc"])

    def configuration(self, number):
        framework = self.random.choice(["tensorflow", "tensorflow", "tensorflow", "pytorch", ""])
        hosts = [f"algo-{index + 1}" for index in range(self.random.choice([1, 1, 2, 2, 3, 4]))]
        groups = self.instance_groups(hosts)
        program = self.program()
        pairs = list((self.platform_hyperparameters(program) | self.distribution(framework, groups)
                      | self.hyperparameters()).items())
        self.random.shuffle(pairs)
        chosen = self.random.sample(ENVIRONMENT, self.random.choice([0, 0, 1, 2, 4]))
        environment = {name: value for name, value in chosen}
        return {
            "number": number, "framework": framework, "has_setup": self.chance(20),
            "bucket_region": self.random.choice([None, "us-west-2", "eu-west-1"]),
            "assignment": {
                "job_name": self.random.choice(["job-1", "a", "Tuning-007-abc"]), "job_arn": "arn:aws:sagemaker:::j", "attempt": 1,
                "host": self.random.choice(hosts), "hosts": hosts, "instance_type": "ml.m5.large", "instance_groups": groups,
                "image": "image", "entrypoint": [], "arguments": [], "hyperparameters": [list(pair) for pair in pairs],
                "environment": [list(pair) for pair in environment.items()], "channels": self.channels(),
                "output_s3_uri": "s3://bucket/out", "is_output_compressed": True, "max_runtime_seconds": 60,
                "is_network_isolated": False, "notices": [], "created_ms": 0,
                "server": {"endpoint": "http://127.0.0.1:4600", "region": "us-west-2", "access_key": "K", "secret_key": "S",
                           "session_token": "T", "report_token": "R"},
                "host_settings": {"job_dir": "", "environments_dir": "", "environments_file": "", "uv": "", "isolation": "sandbox",
                                  "memory_limit_bytes": 0, "cpu_limit": 0, "stop_grace_seconds": 120}}}


def configurations(count, seed):
    generator = Generator(seed)
    return [generator.configuration(number) for number in range(count)]
