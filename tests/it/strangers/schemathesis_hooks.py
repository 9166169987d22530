"""What JSON Schema calls an integer and the contract does not: 27.0. Bodies are sent with 27 instead."""

import schemathesis


def whole(value):
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: whole(field) for name, field in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return value


@schemathesis.hook
def map_body(context, body):
    return whole(body)


@schemathesis.hook
def map_headers(context, headers):
    """An `If-Match` made up names content that is not there; with `*` every second edit is done."""
    made_up = (headers or {}).get("If-Match")
    if isinstance(made_up, str) and len(made_up) % 2 == 0:
        return {**headers, "If-Match": "*"}
    return headers
