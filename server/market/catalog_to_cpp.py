#!/usr/bin/env python3
"""catalog_to_cpp.py schema/catalog OUTPUT.cpp: the card catalog as a table in a source file."""

import csv
import json
import sys
from decimal import Decimal
from pathlib import Path

GIB = 1 << 30
FIGURES = (
    "compute_capability",
    "vram_gib",
    "bandwidth_gb_s",
    "fp16_tflops",
    "fp8_tflops",
    "int8_tops",
    "fp6_tflops",
    "fp4_tflops",
    "tpp",
    "die_mm2",
    "tdp_w",
)


def text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def scaled(value: str, factor: int) -> str:
    number = Decimal(value) * factor
    if number != number.to_integral_value():
        raise ValueError(f"{value} has too many decimals")
    return f"{int(number)}LL"


def maybe(value: str, factor: int = 1) -> str:
    return scaled(value, factor) if value else "std::nullopt"


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def check_evidence(rows: list[dict[str, str]], folder: Path) -> None:
    """Every figure of every row is seen, computed or unseen, once; what was seen has a place."""
    places = {row["place"] for row in rows_of(folder / "places.csv")}
    evidence = {row["model"]: row for row in rows_of(folder / "evidence.csv")}
    if set(evidence) != {row["model"] for row in rows}:
        odd = set(evidence) ^ {row["model"] for row in rows}
        raise ValueError(f"in only one of evidence.csv and cards.csv: {odd}")
    for row in rows:
        found = evidence[row["model"]]
        named = [figure for how in ("seen", "computed", "unseen") for figure in found[how].split()]
        present = [figure for figure in FIGURES if row[figure]]
        if sorted(named) != sorted(present):
            raise ValueError(f"evidence.csv, {row['model']}: names {named}, and cards.csv has {present}")
        where = [place for place in found["where"].split("|") if place]
        if not set(where) <= places or (found["seen"] and not where):
            raise ValueError(f"evidence.csv, {row['model']}: {where} is not in places.csv, or nothing is")


def model(row: dict[str, str], number: int, sources: dict[str, str]) -> str:
    fields = [
        text(row["model"]),
        text(row["name"]),
        f"CardMaker::{row['vendor']}",
        text(row["architecture"]),
        text(row["compute_capability"]) if row["compute_capability"] else "std::nullopt",
        f"Segment::{row['segment']}",
        scaled(row["vram_gib"], GIB),
        row["devices"],
        scaled(row["bandwidth_gb_s"], 10**9),
        *(maybe(row[name], 1000) for name in ("fp16_tflops", "fp8_tflops", "int8_tops", "fp6_tflops", "fp4_tflops")),
        scaled(row["tpp"], 1),
        maybe(row["die_mm2"], 10**6),
        row["tdp_w"] or "std::nullopt",
        text(sources[row["source"]]),
        text(row["notes"]),
        f"products_{number}",
    ]
    return "    {" + ", ".join(fields) + "},\n"


def main() -> None:
    folder, output = Path(sys.argv[1]), sys.argv[2]
    sources = {
        row["source"]: f"{row['publisher']}, {row['title']}, {row['date']}" for row in rows_of(folder / "sources.csv")
    }
    rows = sorted(rows_of(folder / "cards.csv"), key=lambda row: row["model"])
    check_evidence(rows, folder)
    out = '#include "market/catalog.hpp"\n\nnamespace fallow::market {\nnamespace {\n\n'
    for number, row in enumerate(rows):
        products = ", ".join(text(product) for product in row["products"].split("|"))
        out += f"constexpr std::string_view products_{number}[] = {{{products}}};\n"
    out += "\nconstexpr CardModel models[] = {\n"
    out += "".join(model(row, number, sources) for number, row in enumerate(rows))
    out += "};\n\n}  // namespace\n\nstd::span<const CardModel> card_models() {\n    return models;\n}\n\n"
    out += "}  // namespace fallow::market\n"
    with open(output, "w", encoding="utf-8") as file:
        file.write(out)


if __name__ == "__main__":
    main()
