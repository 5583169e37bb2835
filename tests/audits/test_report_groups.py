"""What the report says of a group: what its counter-test showed, and what held it back."""

from dataclasses import replace
from math import exp, log

import pytest
from test_report import Reader, audited

from gradcam_core.audits.findings import find
from gradcam_core.audits.report import write_report

MUCH = {"hidden": log(3), "group": log(4), "pasted": log(5), "usual": log(1.5)}
TESTED = {
    "log_odds": MUCH, "least": log(2), "left": 0.0, "is_still_surer": False, "deficit": 0.0, "may_be_the_object": False,
}  # fmt: skip
EACH = "each must be a factor of 2 or more, also against the class's other photos"
CASES = {
    "not tested": ({}, ""),
    "borne out": ({**TESTED, "is_borne_out": True}, ""),
    "hides little": ({**TESTED, "log_odds": {**MUCH, "hidden": log(1.9)}}, EACH),
    "costs others as much": ({**TESTED, "log_odds": {**MUCH, "group": log(1.9)}}, EACH),
    "brings little": ({**TESTED, "log_odds": {**MUCH, "pasted": log(1.9)}}, EACH),
    "a better view": (
        {**TESTED, "is_still_surer": True, "left": log(6)},
        "even with it hidden, the odds of the class are 6 times those of its other photos: they show it better than "
        "others do",
    ),
    "the usual evidence": (
        {**TESTED, "log_odds": {**MUCH, "usual": log(0.5)}, "may_be_the_object": True, "deficit": log(8)},
        "pasted, it raises them 0.5 times as much as the usual evidence does: it may be the thing itself",
    ),
    "by chance": (
        {**TESTED, "may_be_the_object": True, "deficit": log(8)},
        "pasted, it raises them 1.5 times as much as the usual evidence does, which may be chance, and without it they "
        "are 0.125 times those of the class's other photos: it may be the thing itself",
    ),
}  # what was measured, and how the sentence ends


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = audited(tmp_path_factory.mktemp("groups"), 30)
    found = find(path.parent)
    groups = [
        {
            "photos": [f"{place}.png"], "where": f"at {place}", "region": [[1, 0]], "separability": 0.9 - place / 100,
            "heat": 0.5, "elsewhere": 0.1, "is_candidate": True, "is_borne_out": False, **case,
        }
        for place, (case, _) in enumerate(CASES.values())
    ]  # fmt: skip
    classes = [{**one, "groups": groups if one["index"] == 1 else []} for one in found.classes]
    return write_report(path.parent, replace(found, classes=classes))


def test_a_group_says_what_was_measured_and_what_held_it_back(browser_context, report):
    reader = Reader(browser_context, report)
    told = {}
    for item in reader.page.locator("#groups li.group").all():
        verdict, place = item.locator(".kind").inner_text(), int(item.locator("h3").inner_text().rpartition("at ")[2])
        told[place] = verdict, item.locator("p.soft").inner_text()
    reader.page.close()
    assert reader.complaints == []
    assert list(told) == [1, 0, *range(2, len(CASES))]  # what was borne out comes first
    for place, (case, reason) in enumerate(CASES.values()):
        verdict, sentence = told[place]
        assert verdict == ("borne out" if case.get("is_borne_out") else "not borne out" if case else "not tested")
        end = sentence.removeprefix("50 % of its heat lies there, of the class's other photos 10 %")
        if case:
            hidden, pasted = (f"{exp(case['log_odds'][name]):.2g}" for name in ("hidden", "pasted"))
            end = end.removeprefix(
                f"; hidden there, the odds fall by a factor of {hidden} more than with as much hidden elsewhere; "
                f"pasted into other photos, they rise by a factor of {pasted} more than with the same place of the "
                "class's other photos"
            )
        assert end == (f"; {reason}." if reason else ".")
