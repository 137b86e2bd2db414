#!/usr/bin/env python3
"""The house's rules as checks: hadal_lint.py CHECK|all [--root DIR]. Prints one line per violation, exits 1 on any.

The layer table is read from DESIGN.md itself, so the page and the code cannot part. self_test.py plants a
violation of every rule and expects it to be found.
"""
import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

SKIPPED_FOLDERS = {"build", "node_modules", "dist", "runs", "data", ".git", ".cache", "results"}
CODE_SUFFIXES = {".h", ".cpp", ".inl", ".py", ".sh", ".ts", ".tsx", ".css", ".mjs", ".js", ".cmake", ".toml"}
MAX_LINES, WARN_LINES, MAX_ENGINE_HEADER_LINES = 1000, 500, 250


def files(root, *folders, suffixes=None):
    """Files below root's folders (all of root without them), sorted; build products are left out."""
    for folder in folders or ["."]:
        for path, names, leaves in os.walk(root / folder):
            names[:] = sorted(n for n in names if n not in SKIPPED_FOLDERS)
            for leaf in sorted(leaves):
                if suffixes is None or Path(leaf).suffix in suffixes:
                    yield Path(path) / leaf


def rel(root, path):
    return str(path.relative_to(root))


# ---- layers ---------------------------------------------------------------------------------------------------

class Row:
    """What one folder may include: whole folders, single headers, or (for cli) public headers of all."""

    def __init__(self):
        self.folders, self.headers, self.every_public = set(), set(), False

    def allows(self, target):
        folder = target.split("/")[0]
        if folder in self.folders or target in self.headers:
            return True
        return self.every_public and is_public(target)

    def cmake_folders(self, all_folders):
        return set(all_folders) if self.every_public else self.folders | {h.split("/")[0] for h in self.headers}


def is_public(header):
    """A header that another folder may see: not under internal/, not *_internal.h, not a Highway *-inl.h."""
    return header.endswith(".h") and "/internal/" not in header and not re.search(r"(_internal|-inl)\.h$", header)


def layer_table(root):
    """{folder: Row} from the table in DESIGN.md that follows 'Arrows point down'."""
    text = (root / "DESIGN.md").read_text()
    start = text.find("| folder | may include")
    if start < 0:
        raise SystemExit("DESIGN.md: the table '| folder | may include ...' is missing")
    entries, seen = [], []
    for line in text[start:].splitlines()[2:]:
        if not line.startswith("|"):
            break
        names, allowed = [cell.strip() for cell in line.strip("| \n").split("|")]
        names = [n.strip() for n in names.split(",")]
        entries.append((names, allowed, list(seen)))
        seen += names
    table = {"base": Row()}
    table["base"].folders.add("base")
    for names, allowed, above in entries:
        for name in names:
            table[name] = Row()
    for names, allowed, above in entries:
        for name in names:
            fill_row(table, table[name], name, allowed, above)
    return table


def fill_row(table, row, name, allowed, above):
    row.folders |= {name, "base"}
    for item in re.split(r", (?:and )?", allowed):
        if item == "nothing more":
            continue
        if item == "all of the above":
            row.folders |= set(above)
        elif item == "every folder's public header":
            row.every_public = True
        elif match := re.fullmatch(r"what (\w+) may include", item):
            row.folders |= table[match[1]].folders
        elif match := re.fullmatch(r"(\w+)'s public header", item):
            row.headers.add(f"{match[1]}/{match[1]}.h")
        elif match := re.fullmatch(r"(\w+)'s (\w+) header", item):
            row.headers.add(f"{match[1]}/{match[2]}.h")
        elif item in table:
            row.folders.add(item)
        else:
            raise SystemExit(f"DESIGN.md: the row of {name}: '{item}' is neither a folder nor a known phrase")


def includes(root, path):
    """(line number, target) of each include of a file of src/. An include with no folder in it counts too."""
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if match := re.match(r'\s*#\s*include\s*["<]([^">]+)[">]', line):
            target = match[1]
            if (root / "src" / target).exists() or '"' in line:
                yield number, target


def check_layers(root):
    """Arrows point down: every include of src/ is in its folder's row of DESIGN.md."""
    table = layer_table(root)
    for folder in sorted(p.name for p in (root / "src").iterdir() if p.is_dir()):
        if folder not in table:
            yield f"src/{folder}: has no row in DESIGN.md's table"
    for path in files(root, "src", suffixes={".h", ".cpp", ".inl"}):
        where = rel(root, path)
        folder = where.split("/")[1]
        for number, target in includes(root, path):
            top = target.split("/")[0]
            if "/" not in target or target.startswith("."):
                yield f'{where}:{number}: write "{folder}/..." from src/, not "{target}"'
            elif top in table and folder in table and not table[folder].allows(target):
                yield f"{where}:{number}: {folder} may not include {target} (DESIGN.md, section 2)"
    yield from check_serve_sees_no_tensor(root, table)


def check_serve_sees_no_tensor(root, table):
    """serve never sees a tensor: not through the headers that it may include either."""
    for start in sorted(table["serve"].headers):
        todo, seen = [start], {}
        while todo:
            header = todo.pop()
            if not (root / "src" / header).exists():
                continue
            for _, target in includes(root, root / "src" / header):
                if target not in seen:
                    seen[target] = header
                    todo.append(target)
        for target, source in sorted(seen.items()):
            if target.startswith("tensor/"):
                yield f"src/{source}: includes {target}, which serve would see through {start}"


def check_cmake_layers(root):
    """src/CMakeLists.txt links what DESIGN.md's table allows, no less and no more."""
    table = layer_table(root)
    text = (root / "src/CMakeLists.txt").read_text()
    linked = {}
    for match in re.finditer(r"hadal_layer\((\w+)([^)]*)\)", text):
        depends = re.search(r"DEPENDS([^)]*?)(?:LIBS|$)", match[2], re.S)
        linked[match[1]] = set(depends[1].split()) if depends else set()
    for folder, row in table.items():
        if folder not in linked:
            yield f"src/CMakeLists.txt: no hadal_layer({folder} ...)"
            continue
        allowed = row.cmake_folders(table) - {folder}
        for extra in sorted(linked[folder] - allowed):
            yield f"src/CMakeLists.txt: {folder} depends on {extra}, which DESIGN.md does not allow"
        for absent in sorted(allowed - linked[folder]):
            yield f"src/CMakeLists.txt: {folder} does not depend on {absent}, which DESIGN.md allows"


# ---- files ----------------------------------------------------------------------------------------------------

def check_sizes(root):
    """No code file over 1000 lines; engine/engine.h at most 250; over 500 is said aloud."""
    for path in files(root, suffixes=CODE_SUFFIXES):
        lines = path.read_bytes().count(b"\n")
        if lines > MAX_LINES:
            yield f"{rel(root, path)}: {lines} lines; no file passes {MAX_LINES}"
        elif lines > WARN_LINES:
            print(f"note: {rel(root, path)}: {lines} lines; over {WARN_LINES} is a sign of two concepts")
    header = root / "src/engine/engine.h"
    if header.exists() and header.read_text().count("\n") > MAX_ENGINE_HEADER_LINES:
        yield f"src/engine/engine.h: over {MAX_ENGINE_HEADER_LINES} lines; it is the only door to inference"


def check_headers(root):
    """Every header says #pragma once and begins with a comment: its contract."""
    for path in files(root, "src", "tests", "bench", suffixes={".h"}):
        text = path.read_text(errors="replace")
        if "\n#pragma once\n" not in "\n" + text and not path.name.endswith("-inl.h"):
            yield f"{rel(root, path)}: no #pragma once"
        if not text.startswith("//"):
            yield f"{rel(root, path)}: does not begin with a comment that states its contract"


def check_tests_run(root):
    """Every *_test.cpp is in a folder that tests/CMakeLists.txt builds: a test that nobody runs proves nothing."""
    cmake = (root / "tests/CMakeLists.txt").read_text()
    built = set(re.findall(r"^hadal_test_folder\((\w+)", cmake, re.M)) | set(
        re.findall(r"^add_subdirectory\((\w+)", cmake, re.M))
    for path in files(root, "tests", suffixes={".cpp"}):
        folder = rel(root, path).split("/")[1]
        if path.name.endswith("_test.cpp") and folder not in built:
            yield f"{rel(root, path)}: tests/CMakeLists.txt builds no folder {folder}"


def check_registry_hosts(root):
    """No package registry's host in the repository: they are the machine's own configuration."""
    patterns = [re.compile(p) for p in (
        r'"resolved"\s*:\s*"https?:', r"https?://[\w.-]*registry[\w.-]*", r"https?://(deb|ftp|security|snapshot)\.\w+",
        r"\bnpm (config set|i|install|ci)\b.*--?registry[ =]\S+", r"^\s*registry\s*=\s*\S+")]
    hosts = machine_hosts()
    for path in files(root):
        if path.suffix in {".safetensors", ".png", ".gz", ".bin"} or path.name in {"hadal_lint.py", "self_test.py"}:
            continue
        data = path.read_bytes()
        if b"\0" in data[:4096] or len(data) > 8_000_000:
            continue
        for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
            if any(p.search(line) for p in patterns) or any(h in line for h in hosts):
                yield f"{rel(root, path)}:{number}: names a package registry's host"
                break


def machine_hosts():
    """The hosts that this machine's apt and npm are set up with."""
    text = ""
    for path in [Path("/etc/apt/sources.list"), *Path("/etc/apt").glob("sources.list.d/*")]:
        if path.is_file():
            text += path.read_text(errors="replace")
    try:
        text += subprocess.run(["npm", "config", "get", "registry"], capture_output=True, text=True, timeout=30,
                               stdin=subprocess.DEVNULL, cwd="/", check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        pass
    return {h for h in re.findall(r"https?://([\w.-]+\.[a-z]+)", text) if h != "localhost"}


def check_links(root):
    """Relative links in Markdown pages lead to files."""
    for path in files(root, suffixes={".md"}):
        text = re.sub(r"```.*?```", "", path.read_text(errors="replace"), flags=re.S)
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if "://" not in target and not target.startswith("mailto:") and not (path.parent / target).exists():
                yield f"{rel(root, path)}: the link to {target} leads nowhere"


def check_packages(root):
    """setup/packages.txt: section headers, one well-formed package a line, none twice."""
    seen = {}
    for number, line in enumerate((root / "setup/packages.txt").read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", line):
            yield f"setup/packages.txt:{number}: '{line}' is not one package's name"
        elif line in seen:
            yield f"setup/packages.txt:{number}: {line} stands on line {seen[line]} already"
        seen.setdefault(line, number)


# ---- registries -----------------------------------------------------------------------------------------------

MAX_PLACES = 3

# (what, registry file, regex of its rows' names, regex of a mention of {name} in code, the name's own file)
REGISTRIES = [
    ("weight format", "src/quant/registry.cpp", r'^ +\{"(\w+)", k\w+,', r'"quant/{name}\.h"', "src/quant/{name}."),
    ("architecture", "src/model/family.cpp", r'^ +\{"(\w+ForCausalLM)"', r'"{name}"', "src/model/family."),
    ("endpoint", "src/serve/api/service.cpp", r'^ +\{"[A-Z]+", "[^"]*", (\w+)\}', r"\b{name}\(", "src/serve/api/{name}."),
    ("task", "src/eval/tasks/registry.cpp", r'^ +\{"\w+", "[^"]*", k\w+,\s+(draw_\w+),', r"\b{name}\b", "src/eval/tasks/kinds."),
    ("reward", "src/posttrain/rewards/registry.cpp", r"\bmake_(\w+)_reward\b", r"\bmake_{name}_reward\b",
     "src/posttrain/rewards/{name}."),
    ("command", "src/cli/main.cpp", r"cli::add_(\w+)\b", r"\badd_{name}\b", "src/cli/{name}."),
]


def check_places(root):
    """A new format, architecture, endpoint or command is one file and one row: code names it in few other places."""
    sources = {rel(root, p): p.read_text(errors="replace") for p in files(root, "src", suffixes={".h", ".cpp"})}
    for what, registry, row, mention, own in REGISTRIES:
        names = sorted(set(re.findall(row, sources.get(registry, ""), re.M)))
        if registry in sources and not names:
            yield f"{registry}: no row of a {what} found; the lint's pattern is out of date"
        for name in names:
            pattern = re.compile(mention.format(name=re.escape(name)))
            places = [file for file, text in sources.items()
                      if not file.startswith(own.format(name=name)) and pattern.search(re.sub(r"//.*", "", text))]
            if len(places) > MAX_PLACES:
                yield f"{what} {name}: named in {len(places)} places besides its own file: {', '.join(places)}"


CHECKS = {
    "layers": check_layers, "cmake": check_cmake_layers, "sizes": check_sizes, "headers": check_headers,
    "tests": check_tests_run, "registries": check_registry_hosts, "links": check_links, "packages": check_packages,
    "places": check_places,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("check", choices=[*CHECKS, "all"])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2])
    arguments = parser.parse_args()
    names = list(CHECKS) if arguments.check == "all" else [arguments.check]
    found = 0
    for name in names:
        for violation in CHECKS[name](arguments.root):
            print(f"{name}: {violation}")
            found += 1
    print(f"lint {arguments.check}: {found} violation{'' if found == 1 else 's'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
