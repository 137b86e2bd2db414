#!/usr/bin/env python3
"""The lint can fail: a small tree that obeys every rule passes, and each planted violation is found."""
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import hadal_lint  # noqa: E402

# The real page, so that its table must parse; its links lead to pages that the small tree does not have.
DESIGN = (Path(__file__).resolve().parents[2] / "DESIGN.md").read_text().replace("](", "] (")

CLEAN = {
    "DESIGN.md": DESIGN,
    "README.md": "[design](DESIGN.md)\n",
    "src/base/error.h": "// Errors.\n#pragma once\n",
    "src/tensor/tensor.h": '// Views.\n#pragma once\n#include "base/error.h"\n',
    "src/engine/engine.h": '// The door.\n#pragma once\n#include "base/error.h"\n',
    "src/engine/session.h": '// Inside.\n#pragma once\n#include "tensor/tensor.h"\n',
    "src/serve/server.cpp": '#include <vector>\n\n#include "engine/engine.h"\n',
    "src/eval/bpb.cpp": '#include "engine/engine.h"\n#include "tensor/tensor.h"\n',
    "src/cli/serve.cpp": '#include "engine/session.h"\n',
    "src/kernels/simd.cpp": '#include "hwy/highway.h"\n',
    "src/quant/registry.cpp": '    {"q9", kQ9, 32, 36},\n#include "quant/q9.h"\n',
    "src/quant/q9.h": "// Nine.\n#pragma once\n",
    "tests/CMakeLists.txt": "hadal_test_folder(base unit base)\n",
    "tests/base/error_test.cpp": "// a test\n",
    "setup/packages.txt": "# [build]\ng++\n",
}

# (check, file, its content, words of the message)
PLANTED = [
    ("layers", "src/tensor/bad.cpp", '#include "ops/linear.h"\n', "tensor may not include ops/linear.h"),
    ("layers", "src/train/bad.cpp", '#include "serve/server.h"\n', "train may not include serve/server.h"),
    ("layers", "src/serve/bad.cpp", '#include "engine/session.h"\n', "serve may not include engine/session.h"),
    ("layers", "src/eval/bad.cpp", '#  include "engine/session.h"\n', "eval may not include engine/session.h"),
    ("layers", "src/serve/bad.cpp", '#include "flywheel/filter.h"\n', "serve may not include flywheel/filter.h"),
    ("layers", "src/cli/bad.cpp", '#include "engine/internal/x.h"\n', "cli may not include engine/internal/x.h"),
    ("layers", "src/serve/bad.cpp", "#include <tensor/tensor.h>\n", "serve may not include tensor/tensor.h"),
    ("layers", "src/text/bad.cpp", '#include "tokenizer.h"\n', 'write "text/..." from src/'),
    ("layers", "src/gadgets/bad.cpp", "// a folder of its own\n", "src/gadgets: has no row"),
    ("layers", "src/engine/engine.h", '// Door.\n#pragma once\n#include "engine/session.h"\n', "serve would see"),
    ("cmake", "src/CMakeLists.txt", "hadal_layer(text DEPENDS base tensor LIBS x)\n", "text depends on tensor"),
    ("cmake", "src/CMakeLists.txt", "hadal_layer(quant DEPENDS base)\n", "quant does not depend on tensor"),
    ("sizes", "src/base/long.cpp", "int x;\n" * 1001, "1001 lines"),
    ("sizes", "web/src/long.ts", "let x;\n" * 1001, "1001 lines"),
    ("sizes", "src/engine/engine.h", "// line\n" * 251, "the only door"),
    ("headers", "src/base/bare.h", "// No guard.\n", "no #pragma once"),
    ("headers", "src/base/mute.h", "#pragma once\n", "does not begin with a comment"),
    ("tests", "tests/orphan/orphan_test.cpp", "// nobody builds it\n", "builds no folder orphan"),
    ("registries", "web/package-lock.json", '{"resolved": "https:' + '//host.example/x.tgz"}\n', "registry's host"),
    ("registries", "docs/x.md", "https:" + "//registry.example.org/\n", "registry's host"),
    ("links", "docs/page.md", "[gone](nowhere.md)\n", "leads nowhere"),
    ("places", "src/quant/registry.cpp", "// rows of another shape\n", "no row of a weight format"),
    ("places", "src/posttrain/rewards/registry.cpp", "// rows of another shape\n", "no row of a reward"),
    ("places", "src/eval/tasks/registry.cpp", "// rows of another shape\n", "no row of a task"),
    ("packages", "setup/packages.txt", "# [build]\ng++\ng++\n", "stands on line 2"),
    ("packages", "setup/packages.txt", "# [build]\ng++ make\n", "not one package's name"),
]


SCATTERED = {f"src/format/f{i}.cpp": '#include "quant/q9.h"\n' for i in range(4)}


def plant(root, tree):
    for name, text in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def cmake_lists(root):
    """A src/CMakeLists.txt that agrees with the table."""
    table = hadal_lint.layer_table(root)
    return "".join(f"hadal_layer({folder} DEPENDS {' '.join(sorted(row.cmake_folders(table) - {folder}))})\n"
                   for folder, row in table.items())


def main():
    failures = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        plant(root, CLEAN)
        plant(root, {"src/CMakeLists.txt": cmake_lists(root)})
        for check, function in hadal_lint.CHECKS.items():
            failures += [f"the clean tree fails {check}: {v}" for v in function(root)]
    for check, file, text, expected in PLANTED:
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            plant(root, CLEAN)
            plant(root, {"src/CMakeLists.txt": cmake_lists(root)})
            plant(root, {file: text})
            found = list(hadal_lint.CHECKS[check](root))
            if not any(expected in violation for violation in found):
                failures.append(f"{check}: planted in {file}, not found: {expected}; found {found}")
    with tempfile.TemporaryDirectory() as name:
        plant(Path(name), {**CLEAN, **SCATTERED})
        if not any("weight format q9: named in 5 places" in v for v in hadal_lint.check_places(Path(name))):
            failures.append("places: a weight format that five files include is not found")
    covered = {check for check, *_ in PLANTED}
    failures += [f"no violation is planted for {check}" for check in hadal_lint.CHECKS if check not in covered]
    for failure in failures:
        print(failure)
    print(f"lint self-test: {len(PLANTED)} planted violations, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
