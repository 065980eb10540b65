"""Whatever arrives is either a reading or one clear line."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.payload import MAX_BYTES, decode, encode, event
from device.prediction import Prediction
from edge.errors import DataError

CHANNELS = ("rms", "temp", "load")


def test_an_object_in_any_order_is_a_reading() -> None:
    reading = decode(b'{"values": {"temp": 61, "load": -1e3, "rms": 2.5}, "ts": 12.25}', CHANNELS)
    assert (reading.ts, reading.values, reading.problems) == (12.25, [2.5, 61.0, -1000.0], ())


@pytest.mark.parametrize("payload", [b"[1, 2, 3]", b'{"values": [1, 2, 3]}', b'{"ts": null, "values": [1, 2, 3]}'])
def test_a_list_is_in_channel_order_and_needs_no_time(payload: bytes) -> None:
    assert decode(payload, CHANNELS).values == [1.0, 2.0, 3.0]
    assert decode(payload, CHANNELS).ts is None


def test_time_may_be_text() -> None:
    assert decode(b'{"ts": "1970-01-01T00:01:00Z", "values": [1, 2, 3]}', CHANNELS).ts == 60.0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ('{"rms": 1, "temp": 2}', "the payload lacks `load`; the last value is held"),
        ('{"rms": 1, "temp": "hot", "load": 1}', "`temp` is 'hot', which is no number; the last value is held"),
        ('{"rms": 1, "temp": true, "load": 1}', "`temp` is true, which is no number; the last value is held"),
        ('{"rms": 1, "temp": null, "load": 1}', "`temp` is null, which is no number; the last value is held"),
        ('{"rms": 1, "temp": [2], "load": 1}', "`temp` is a list, which is no number; the last value is held"),
        ('[1, "hot", 3]', "`temp` is 'hot', which is no number; the last value is held"),
    ],
)
def test_a_channel_without_a_number_is_missing_and_named(values: str, said: str) -> None:
    reading = decode(f'{{"ts": 1, "values": {values}}}'.encode(), CHANNELS)
    assert reading.problems == (said,)
    assert sum(math.isnan(v) for v in reading.values) == 1


def test_an_unknown_channel_is_ignored_and_named() -> None:
    reading = decode(b'{"values": {"rms": 1, "temp": 2, "load": 3, "oil\\n": 4}}', CHANNELS)
    assert reading.values == [1.0, 2.0, 3.0]
    assert reading.problems == ("the payload has `oil\\n`, which the model does not know; ignored",)


def test_one_channel_misspelt_is_two_problems() -> None:
    assert len(decode(b'{"values": {"rms": 1, "temp": 2, "laod": 3}}', CHANNELS).problems) == 2


@pytest.mark.parametrize(
    ("payload", "line"),
    [
        (b"", "is empty"),
        (b"vibration=3", "is not JSON"),
        (b'{"ts": 1, "values": {"rms": 1', "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 5000, "is not JSON"),
        (b'{"values": {"rms": NaN, "temp": 2, "load": 3}}', "NaN or Infinity, which is not JSON; send null"),
        (b'{"values": {"rms": 1e999, "temp": 2, "load": 3}}', "is not JSON"),
        (b"7", "holds 7 where values belong"),
        (b'"text"', "holds 'text' where values belong"),
        (b"null", "holds null where values belong"),
        (b'{"rms": 1}', "has no `values`"),
        (b'{"values": 3}', "holds 3 where values belong"),
        (b'{"values": {}}', "no channel has a usable value"),
        (b'{"values": {"oil": 1}}', "no channel has a usable value"),
        (b"[null, null, null]", "no channel has a usable value"),
        (b"[1, 2]", "lists 2 values for 3 channels"),
        (b"[1, 2, 3, 4]", "lists 4 values for 3 channels"),
        (b'{"ts": "yesterday", "values": [1, 2, 3]}', "`ts` is 'yesterday', which is no time"),
        (b'{"ts": true, "values": [1, 2, 3]}', "`ts` is true, which is no time"),
        (b'{"ts": [1], "values": [1, 2, 3]}', "`ts` is a list, which is no time"),
        (b'{"ts": 1732182000123, "values": [1, 2, 3]}', "send seconds, not milliseconds"),
    ],
)
def test_what_is_no_reading_gets_one_clear_line(payload: bytes, line: str) -> None:
    with pytest.raises(DataError) as caught:
        decode(payload, CHANNELS)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_huge_payload_is_refused_unparsed() -> None:
    with pytest.raises(DataError, match="has 10000000 bytes, more than 65536"):
        decode(b"[" * 10_000_000, CHANNELS)


def test_a_huge_whole_number_is_a_value_and_no_error() -> None:
    assert decode(b'{"values": [%s, 2, 3]}' % (b"9" * 300), CHANNELS).values[1:] == [2.0, 3.0]


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*CHANNELS, "x"]) | st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.binary(max_size=200) | st.binary(max_size=40).map(lambda b: b'{"ts": 1, "values": [' + b + b"]}"))
def test_any_bytes_are_a_reading_or_a_data_error(payload: bytes) -> None:
    _decodes_or_explains(payload)


@given(st.fixed_dictionaries({}, optional={"ts": junk, "values": junk, "event": junk}) | junk)
def test_any_json_is_a_reading_or_a_data_error(value: object) -> None:
    _decodes_or_explains(json.dumps(value).encode("utf-8", "surrogatepass"))


def _decodes_or_explains(payload: bytes) -> None:
    lines: list[str] = []
    try:
        lines += decode(payload, CHANNELS).problems
    except DataError as error:
        lines.append(str(error))
    try:
        lines.append(event(payload))
    except DataError as error:
        lines.append(str(error))
    assert all("\n" not in line and len(line) < 400 for line in lines)


def test_at_the_limit_a_payload_is_still_read() -> None:
    payload = b"[1, 2, 3]".ljust(MAX_BYTES)
    assert decode(payload, CHANNELS).values == [1.0, 2.0, 3.0]


def test_control_knows_repaired_and_nothing_else() -> None:
    assert event(b'{"event": "repaired"}') == "repaired"
    for payload in (b'{"event": "exploded"}', b"{}", b"[]", b'{"event": ["repaired"]}'):
        with pytest.raises(DataError, match="known"):
            event(payload)


def test_a_prediction_is_encoded_in_the_documented_order() -> None:
    prediction = Prediction(12.5, "p1", 3, {"rul": 61.25}, False, True, None, "abc")
    want = b'{"ts":12.5,"machine":"p1","seq":3,"rul":61.25,"alarm":false,"warm":true,"gap_s":null,"model":"abc"}'
    assert encode(prediction) == want
