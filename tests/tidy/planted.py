"""The proof that tidy's rules work: text that breaks one rule each, and text that comes close and breaks
none."""

HEADER = "#pragma once\n"

# rule, path, text, line
PLANTED = [
    ("include", "server/market/a.cpp", '#include "market/b.hpp"\n#include "store/c.hpp"\n', 2),
    ("include", "server/base/a.cpp", '#include "ledger/b.hpp"\n', 1),
    ("include", "server/http/a.cpp", '#include "market/b.hpp"\n', 1),
    ("include", "server/store/a.cpp", '#include "api/b.hpp"\n', 1),
    ("include", "server/auth/a.cpp", '#  include "ops/b.hpp"\n', 1),
    ("include", "server/proof/main.cpp", '#include "base/b.hpp"\n', 1),
    ("include-sdk", "client-sdk/agent/a.cpp", '#include "base/ids.hpp"\n', 1),
    ("include-pure", "server/market/a.hpp", HEADER + "#include <chrono>\n", 2),
    ("include-pure", "server/ledger/a.cpp", "#include <nlohmann/json.hpp>\n", 1),
    ("include-pure", "server/ledger/a.cpp", "#include <mutex>\n", 1),
    ("include-base", "server/base/a.cpp", "#include <boost/asio.hpp>\n", 1),
    ("include-base", "server/base/a.cpp", "#include <unistd.h>\n", 1),
    ("pragma-once", "server/base/a.hpp", "// A header.\n", 1),
    ("rand", "server/engine/a.cpp", "int f() {\n    return std::rand();\n}\n", 2),
    ("system", "client-sdk/agent/a.cpp", 'void f() { system("ls"); }\n', 1),
    ("system", "client-sdk/agent/a.cpp", 'void f() { std::system("ls"); }\n', 1),
    ("sleep", "tests/unit/base/a_test.cpp", "std::this_thread::sleep_for(x);\n", 1),
    ("sleep", "tests/unit/base/a_test.cpp", "sleep(1);\n", 1),
    ("c-string", "server/base/a.cpp", "strcpy(a, b);\n", 1),
    ("c-string", "server/base/a.cpp", "sprintf(a, b);\n", 1),
    ("atoi", "server/base/a.cpp", "int a = std::atoi(b);\n", 1),
    ("regex", "client-sdk/cli/a.cpp", "std::regex a;\n", 1),
    ("regex", "client-sdk/cli/a.cpp", "#include <regex>\n", 1),
    ("local-time", "server/base/a.cpp", "auto a = std::gmtime(&b);\n", 1),
    ("using-std", "server/base/a.cpp", "using namespace std;\n", 1),
    ("detached", "server/api/a.cpp", "co_spawn(a, b, asio::detached);\n", 1),
    ("co_await", "server/api/a.cpp", "co_await a;\n", 1),
    ("co_await-line", "server/http/a.cpp", "co_await write(Reply{1});\n", 1),
    ("co_await-line", "server/http/a.cpp", "auto [a, b] = co_await c;\n", 1),
    ("float", "server/ledger/a.cpp", "// no float here\ndouble a = 1;\n", 2),
    ("line-length", "tests/e2e/a.py", "# " + "x" * 119 + "\n", 1),
    ("line-length", "server/base/a.cpp", "// " + "x" * 108 + "\n", 1),
    ("line-length", "tests/unit/a.cpp", "// clang-format off\n// clang-format on\n// " + "x" * 108 + "\n", 3),
    ("file-length", "server/base/a.cpp", "int a;\n" * 601, 601),
    ("crlf", "schema/a.yaml", "a: 1\nb: 2\r\n", 2),
    ("last-line", "schema/a.yaml", "a: 1", 1),
    ("trailing-space", "schema/a.yaml", "a: 1\nb: 2 \n", 2),
    ("trailing-space", "schema/a.yaml", "a: 1\n\t\n", 2),
    ("merge-marker", "schema/a.yaml", "a: 1\n" + "<" * 7 + " HEAD\n", 2),
    ("machine-path", "docker/a.yaml", "path: /wor" + "k/main/server\n", 1),
    ("machine-path", "docker/a.yaml", "path: /ho" + "me/someone/x\n", 1),
    ("unfinished", "server/base/a.cpp", "// TO" + "DO: more\n", 1),
]

CLEAN = {
    "server/base/a.hpp": HEADER + '#include <fmt/format.h>\n#include <vector>\n#include "base/b.hpp"\n',
    "server/api/a.cpp": '#include "store/a.hpp"\n#include "http/a.hpp"\n#include <chrono>\n',
    "server/main.cpp": '#include "api/a.hpp"\n#include "store/a.hpp"\n',
    "server/engine/a.cpp": "// std::rand(), system(), co_await and detached in a comment\n"
    'const char* a = "system(\\" co_await"; /* sprintf(\n atoi( */ throw std::system_error(x);\n'
    "int strand(int);\n",
    "server/market/a.cpp": 'const auto a = R"(a double " strcpy( quote)"; int b = 1\'000;\n'
    "char c = '\"'; // float\n",
    "server/http/a.cpp": "co_await write(reply);\nconst Reply a{1};\nco_spawn(a, b, detached);\n",
    "tests/support/wait.cpp": "std::this_thread::sleep_for(step);\n",
    "tests/unit/agent/fixture.hpp": HEADER + 'Caller system();\nvoid f() { std::system("ls"); }\n',
    "server/engine/caller.cpp": "Caller system() { return nobody; }\n",
    "client-sdk/agent/a.cpp": '#include "agent/b.hpp"\n#include "fallow/c.hpp"\n'
    "std::this_thread::sleep_for(x);\n",
    "client-sdk/agent/paths.cpp": 'const char* a = "/work/in"; const char* b = "/work/out";\n',
    "tests/unit/table.cpp": "// clang-format off\n" + "x" * 200 + ";\n// clang-format on\n",
    "tests/unit/text_table.cpp": 'auto a = R"(\n' + "x" * 200 + '\n)";\n',
    "docker/notes.md": "A title\n=======\n",
    "server/base/long.cpp": "// " + "×" * 107 + "\n" + "int a;\n" * 599,
}


def prove(check_tree, rules: set, required: dict) -> list:
    """What is wrong with the rules themselves; nothing when each fires where it should and nowhere else."""
    pages = {path: "A page.\n" for path in required}
    failures = []
    fired = set()
    for rule, path, text, line in PLANTED:
        found = check_tree({**pages, path: text})
        fired.update(v.rule for v in found)
        if not any((v.rule, v.path, v.line) == (rule, path, line) for v in found):
            failures.append(f"{rule} is silent on {text!r} in {path}")
        others = [v for v in found if v.rule != rule]
        failures += [f"{v.rule} fires where only {rule} should: {text!r}" for v in others]
        if any(not v.remedy or not v.what for v in found):
            failures.append(f"{rule} names no remedy")
    for page in required:
        found = check_tree({path: text for path, text in pages.items() if path != page})
        if [(v.rule, v.path) for v in found] != [("folder-page", page)]:
            failures.append(f"folder-page is silent on {page}")
        fired.update(v.rule for v in found)
    failures += [f"{v.rule} fires on clean text: {v}" for v in check_tree({**pages, **CLEAN})]
    failures += [f"{rule} has no planted violation" for rule in sorted(rules - fired)]
    return failures
