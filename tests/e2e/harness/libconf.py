# SPDX-License-Identifier: MIT
"""Python values in libconfig's syntax."""

import json


def _value(value, indent):
    pad = "  " * indent
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        inner = "".join(f"{pad}  {k} = {_value(v, indent + 1)};\n" for k, v in value.items())
        return "{\n" + inner + pad + "}"
    return "(" + ", ".join(_value(v, indent + 1) for v in value) + ")"


def dumps(conf):
    return "".join(f"{key} = {_value(value, 0)};\n" for key, value in conf.items())
