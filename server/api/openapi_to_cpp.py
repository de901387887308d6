#!/usr/bin/env python3
"""openapi_to_cpp.py schema/openapi.yaml OUTPUT.cpp: the contract as JSON in a source file. Needs python3-yaml."""

import json
import sys

import yaml

# A string literal may be 65,536 bytes long at most by the standard; pieces are joined at run time.
PIECE_BYTES = 8000


def main() -> None:
    source, output = sys.argv[1:3]
    with open(source, encoding="utf-8") as file:
        document = yaml.safe_load(file)
    # A date that YAML reads as one is text in JSON.
    text = json.dumps(document, ensure_ascii=True, separators=(",", ":"), default=str)
    pieces = [text[at : at + PIECE_BYTES] for at in range(0, len(text), PIECE_BYTES)]
    literals = "\n".join(f'    text += R"openapi({piece})openapi";' for piece in pieces)
    with open(output, "w", encoding="utf-8") as file:
        file.write(
            '#include "api/openapi_document.hpp"\n\n'
            "namespace fallow::api {\n\n"
            "std::string openapi_document() {\n"
            "    std::string text;\n"
            f"    text.reserve({len(text)});\n"
            f"{literals}\n"
            "    return text;\n"
            "}\n\n"
            "}  // namespace fallow::api\n"
        )


if __name__ == "__main__":
    main()
