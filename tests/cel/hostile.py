"""Expressions made to exhaust whoever evaluates them. Run as a program, in a process of its own with limits on its time and memory.

Prints, for each engine and expression, how it ended: "refused", or "answered" where what looked hostile was harmless.
"""

from __future__ import annotations

import json
import resource
import sys

import pyarrow as pa

from sopnb.cel import Program
from sopnb.cel.engines.engine import ENGINES, engine
from sopnb.errors import InvalidInput

SECONDS, BYTES = 60, 3 * 1024**3
"""All of it takes less processor time and address space than this."""
TYPES = {"a": pa.int64(), "s": pa.string(), "yes": pa.bool_(), "items": pa.list_(pa.int64()), "doc": pa.string()}
RECORDS = pa.table(
    {"a": [1], "s": ["ab" * 1000], "yes": [True], "items": [list(range(2000))], "doc": ["[" * 300 + "]" * 300]},
    schema=pa.schema(list(TYPES.items())),
)
REFUSED = {
    "a long text": "'" + "x" * 1_000_000 + "'",
    "a sum of 100,000": "+".join(["a"] * 100_000),
    "a sum of 4,000": "+".join(["a"] * 4_000),
    "a condition of 100,000": "&&".join(["yes"] * 100_000),
    "a condition of 3,000": "||".join(["yes"] * 3_000),
    "parentheses": "(" * 10_000,
    "closed parentheses": "(" * 5_000 + "a" + ")" * 5_000,
    "lists": "[" * 8_000,
    "maps": "{'a':" * 3_000,
    "not": "!" * 16_000 + "yes",
    "minus": "-" * 16_000 + "a",
    "indexes": "items" + "[0]" * 5_000,
    "fields": "doc" + ".a" * 8_000,
    "outcomes": "yes ? a : " * 1_500 + "a",
    "inner outcomes": "(yes ? " * 1_500 + "a",
    "calls": "string(" * 2_000 + "a",
    "methods": "s" + ".size()" * 2_000,
    "quotes": "'\"" * 4_000,
    "triple quotes": '"""' * 2_001 + "'",
    "remarks": "//" * 8_000,
    "a list of 5,000": "a in [" + ",".join(map(str, range(5_000))) + "]",
    "loops in loops": "items.exists(b, items.exists(c, items.exists(d, b + c + d > 9999999)))",
    "two loops": "items.all(b, items.all(c, b + c < 9999999))",
    "ten loops": "".join(f"[1,2,3,4,5,6,7,8,9].map(v{i}, " for i in range(10)) + "a" + ")" * 10 + ".size() > 0",
    "a bomb of text": "['0123456789']" + ".map(t, t + t + t + t + t + t)" * 15 + "[0] == ''",
    "a bomb of lists": "[[1]]" + ".map(t, t + t + t + t + t + t)" * 15 + ".size() == 1",
    "a bomb in a filter": "[s].filter(t, " + "+".join(["t"] * 20) + " != '')" + ".map(t, t + t + t + t)" * 12 + ".size() == 0",
    "a large pattern": "s.matches('((((a{100}){100}){100}){100})')",
    "a pattern from data": "'x'.matches(s) || 's'.matches('(' + s + ')')",
    "a pattern without end": "s.matches('" + "(" * 1_000 + "')",
    "a number without end": "a > 1" + "0" * 10_000,
    "a fraction without end": "a > 0." + "1" * 10_000 + "e99999",
    "an exponent": "a > 1e" + "9" * 5_000,
    "surrogates": "s == '\ud800'",
    "zeros": "a > \0",
    "a duration": "duration('" + "9" * 5_000 + "h') > duration('1s')",
    "a moment": "timestamp('" + "9" * 5_000 + "') > timestamp('2013-01-01')",
    "a document of depth": "doc[0][0] == 1 || true",
    "control signs": "a\u2028> 1",
}
ANSWERED = {
    "many conditions": "&&".join(["a/a == 1"] * 300),
    "a pattern that goes back": "s.matches('(a*)*(a*)*(a*)*b$')",
    "a long text of few parts": "size(" + "+".join(["s"] * 20) + ") > 1",
    "one loop": "items.exists(i, i == 1999)",
    "overflow": "a * 9223372036854775807 * 9223372036854775807 == 1",
}


def main() -> None:
    """Run all of them."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    ends = {}
    for package in ENGINES:
        for name, text in {**REFUSED, **ANSWERED}.items():
            try:
                program = Program.of(text, TYPES, documents=["doc"], using=engine(package))
                program.by_row(RECORDS)
                program.values(RECORDS)
                ends[f"{package}: {name}"] = "answered"
            except InvalidInput as error:
                ends[f"{package}: {name}"] = "refused" if len(str(error)) < 1_000 else "refused at too great length"
    json.dump(ends, sys.stdout)


if __name__ == "__main__":
    main()
