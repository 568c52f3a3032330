"""What is changed of Snakemake's report and of its messages, and what that rests on in its code."""

import json
import logging
import re
from pathlib import Path

import pytest
import snakemake.report.html_reporter as reporter

from geometry.config.engine import MOST_FILES, few_files
from write_report import view_of

COMPONENTS = Path(reporter.__file__).parent / "template/components"


def component(name):
    return (COMPONENTS / f"{name}.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["menu", "category", "abstract_results"])
def test_every_list_of_snakemakes_page_is_sorted_by_what_the_view_replaces(name):
    assert ".localeCompare(" in component(name)


def test_snakemakes_page_has_the_variables_that_the_view_uses():
    app, page = component("app"), (COMPONENTS.parent / "index.html.jinja2").read_text(encoding="utf-8")
    assert "\nlet app;" in app and "app = this;" in app and "setView(view) {" in app
    for name in ("results", "categories"):
        assert f"var {name} = " in page
    for name in set(re.findall(r"(\w+): ", view_of([]).partition("const view = ")[2].partition(";")[0])):
        assert f"{name}: view.{name} || " in app


def test_view_has_the_results_in_their_order_and_cannot_be_ended_by_a_name():
    paths = ["results/findings.html", "results/figures/</script>.png", "results/a.csv"]
    view = view_of(paths)
    assert view.count("</script>") == 1
    assert json.loads(re.search(r"const paths = (\[.*?\]),", view)[1]) == paths


def record(**values):
    return logging.makeLogRecord(values)


def test_message_on_a_job_names_few_files_and_counts_the_rest():
    names = [f"file_{n}" for n in range(MOST_FILES + 2)]
    reason = f"Missing output files: a, b; Input files updated by another job: {', '.join(names)}"
    message = record(input=names, output=names[:MOST_FILES], reason=reason)
    assert few_files(message)
    few = [*names[:MOST_FILES], f"... ({len(names)} files)"]
    assert message.input == few and message.output == names[:MOST_FILES]
    assert message.reason == f"Missing output files: a, b; Input files updated by another job: {', '.join(few)}"


def test_other_messages_stay_as_they_are():
    names = ", ".join(map(str, range(MOST_FILES + 2)))
    for values in ({"msg": names}, {"reason": f"Params have changed since last execution: {names}"}, {"reason": None}):
        message = record(**values)
        assert few_files(message) and {key: getattr(message, key) for key in values} == values
