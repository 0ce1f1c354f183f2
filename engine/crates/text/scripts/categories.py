"""Writes src/categories.rs: the general categories of Unicode 15.1, the version of llama.cpp's own table (v0.5.0).

    pip install unicodedata2==15.1.0 && python scripts/categories.py > src/categories.rs
"""

import unicodedata2

assert unicodedata2.unidata_version == "15.1.0", unicodedata2.unidata_version

# The order of `Category` in src/unicode.rs. Separators, controls, format characters and unassigned ones are all "other".
CODES = {"L": 1, "N": 2, "M": 3, "P": 4, "S": 5}

runs = []
for point in range(0x110000):
    code = CODES.get(unicodedata2.category(chr(point))[0], 0)
    if not runs or runs[-1] % 8 != code:
        runs.append(point * 8 + code)

print('// Made by `python scripts/categories.py > src/categories.rs` from unicodedata2 15.1.0; do not edit.')
print()
print('/// Where each run of one category begins: code point times 8, plus the category. Sorted.')
print('#[rustfmt::skip]')
print(f'pub(crate) const RUNS: [u32; {len(runs)}] = [')
line = '   '
for run in runs:
    word = f' {run:#x},'
    if len(line) + len(word) > 126:
        print(line)
        line = '   '
    line += word
print(line)
print('];')
