# SPDX-License-Identifier: Apache-2.0
"""The house rules that a machine can check: layers, sizes, names, licence lines (STYLE.md)."""
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
FILES = [ROOT / name for name in subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True,
    stdout=subprocess.PIPE, check=True).stdout.splitlines() if (ROOT / name).exists()]
CPP = [path for path in FILES if path.suffix in (".cpp", ".hpp")]

# What each folder may include beside itself, base/ and model/; src/README.md says why.
MAY_INCLUDE = {
    "base": set(), "model": set(), "db": set(), "sandbox": set(), "network": set(), "http": set(),
    "docker": {"http"}, "proxy": {"http"}, "aws": {"http"}, "protocol": set(), "objects": {"aws", "http", "db"},
    "transfer": {"aws", "http", "objects"}, "pipe": {"transfer", "objects", "aws", "http"},
    "hydrate": {"transfer", "aws", "http", "objects"}, "fuse": {"hydrate"},
    "environments": set(), "launch": set(), "jobs": {"db", "protocol"},
    "logs": {"db", "protocol"}, "metrics": {"db"}, "engine": {"protocol", "sandbox", "network", "docker"},
    "scheduler": {"engine", "jobs", "protocol"},
    "agent": {"protocol", "transfer", "pipe", "hydrate", "environments", "sandbox", "network", "launch", "http", "aws", "docker"},
    "cli": {"aws", "http", "proxy", "transfer", "environments", "objects", "docker"},
    "api": {"jobs", "logs", "metrics", "objects", "protocol", "aws", "http"},
    "simulation": {"api", "scheduler", "engine", "jobs", "logs", "metrics", "objects", "protocol", "http", "aws"},
    "main": None,  # wires everything
}


def name(path):
    return str(path.relative_to(ROOT))


def test_every_folder_includes_only_what_its_layer_may():
    wrong = []
    for path in CPP:
        folder = path.relative_to(SOURCE).parts[0]
        allowed = MAY_INCLUDE[folder]
        if allowed is None:
            continue
        for included in re.findall(r'^#include "([a-z_]+)/', path.read_text(), re.M):
            if included not in allowed | {folder, "base", "model"}:
                wrong.append(f"{name(path)} includes {included}/")
    assert not wrong


@pytest.mark.parametrize("library, folders", [
    ("boost/beast", {"http"}), ("curl/", {"http"}), ("sqlite3.h", {"db"}), ("archive", {"transfer"}), ("zlib", {"transfer", "pipe"}),
    ("toml++", {"environments", "main"}), ("CLI/", {"main"}), ("boost/json", {"base"}),
    ("re2/", {"metrics", "api"}), ("cbor", {"aws"}),
    ("openssl/ssl", {"proxy", "transfer"}), ("openssl/x509", {"proxy", "transfer"}),
    ("fuse", {"fuse"}), ("sys/fanotify", {"hydrate"})])
def test_libraries_stay_in_their_folders(library, folders):
    wrong = [name(path) for path in CPP
             if re.search(rf"^#include <{re.escape(library)}", path.read_text(), re.M)
             and path.relative_to(SOURCE).parts[0] not in folders]
    assert not wrong


def test_sizes():
    wrong = []
    for path in CPP:
        lines = path.read_text().splitlines()
        limit = 250 if path.suffix == ".hpp" else 600
        if len(lines) > limit:
            wrong.append(f"{name(path)}: {len(lines)} lines, at most {limit}")
        wrong += [f"{name(path)}:{number}: {len(line)} columns" for number, line in enumerate(lines, 1)
                  if len(line) > 100]
    assert not wrong


def test_functions_are_seen_at_once():
    """A lone '}' ends what began at the last line of the same indentation; classes end with '};'."""
    wrong = []
    for path in CPP:
        lines = path.read_text().splitlines()
        for end, line in enumerate(lines):
            if line not in ("}", "  }"):
                continue
            indent = line[:-1]
            start = end - 1
            while not (lines[start].startswith(indent) and lines[start][len(indent):len(indent) + 1].strip()):
                start -= 1
            if end - start > 70:
                wrong.append(f"{name(path)}:{start + 1}: {end - start} lines")
    assert not wrong


def test_licence_lines():
    wrong = [name(path) for path in FILES
             if path.suffix in (".cpp", ".hpp", ".py", ".cmake") or path.name == "CMakeLists.txt"
             if "SPDX-License-Identifier: Apache-2.0" not in "\n".join(path.read_text().splitlines()[:2])]
    assert not wrong


def test_names_say_what_a_thing_is():
    banned = re.compile(r"\b(class|struct) (\w*(Manager|Utils?|Helper|Impl|Info)|I[A-Z]\w+Interface)\b")
    assert not [f"{name(path)}: {found.group(0)}" for path in CPP
                for found in banned.finditer(path.read_text())]


def test_every_folder_has_a_short_readme():
    folders = {path.relative_to(SOURCE).parts[0] for path in CPP}
    for folder in sorted(folders):
        lines = (SOURCE / folder / "README.md").read_text().splitlines()
        assert 1 <= len(lines) <= 15, folder


def test_the_root_is_tidy():
    assert len({path.relative_to(ROOT).parts[0] for path in FILES
                if not path.relative_to(ROOT).parts[0].startswith(".")}) <= 20


def test_paths_in_the_documents_exist():
    wrong = []
    for document in [path for path in FILES if path.suffix == ".md" and path.parent in (ROOT, ROOT / "doc")]:
        for path in re.findall(r"`((?:src|tests|tools|config|examples|doc|bench)/[\w./-]+)`", document.read_text()):
            if not (ROOT / path).exists():
                wrong.append(f"{name(document)}: {path}")
    assert not wrong
