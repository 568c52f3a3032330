"""Tables are what their schemas say, and the page of all of them is that of the schemas."""

import re
from pathlib import Path

import pandas as pd
import pytest

from geometry.schemas.page import as_markdown, schemas, texts_of
from geometry.schemas.recovery import ProcessRecovery
from geometry.tables import TableError, checked, columns_of

ROOT = Path(__file__).parents[2]
ROWS = {"value": [1, 0.5, 0.25], "measure": ["rank", "singular_value", "singular_value"]}
TABLE = pd.DataFrame({**ROWS, "index": [None, 1, 2], "source": "exact", "task": "t"})


def test_columns_have_the_order_and_the_types_of_the_schema():
    found = checked(TABLE, ProcessRecovery)
    assert list(found.columns) == ["task", "source", "measure", "index", "value"]
    assert found["index"].dtype == "Int64" and found["index"].tolist()[1:] == [1, 2]


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (TABLE.drop(columns="source"), "source is missing; the columns are task, source, measure"),
        (TABLE.assign(place=1), "place is unknown"),
        (TABLE.assign(value="much"), "could not convert string to float"),
        (TABLE.assign(index=0.5), "cannot safely cast"),
        (TABLE.assign(index=1), "1 rows repeat the key of another, as {'source': 'exact', 'measure': 'singular_value'"),
    ],
)
def test_rows_that_break_their_schema_are_refused(table, sentence):
    with pytest.raises(TableError, match="ProcessRecovery") as refused:
        checked(table, ProcessRecovery)
    assert sentence in str(refused.value)


@pytest.mark.parametrize("schema", list(schemas()), ids=lambda schema: schema.__name__)
def test_schema_says_what_each_column_holds_and_what_identifies_a_row(schema):
    columns = columns_of(schema)
    assert texts_of(schema).keys() == columns.keys() and set(schema.key) <= columns.keys()
    assert schema.__doc__ and all(path.endswith(".csv") for path in schema.path.split(", "))


def test_every_table_that_a_script_writes_has_a_schema_on_the_page():
    used = set()
    for script in (ROOT / "scripts").glob("*.py"):
        used |= set(re.findall(r"(?m)^from geometry\.schemas\.\w+ import (.+)$", script.read_text(encoding="utf-8")))
    names = {name.split(" as ")[0] for line in used for name in line.split(", ")}
    assert names == {schema.__name__ for schema in schemas()}


def test_page_of_files_shows_the_tables_as_they_are():
    shown = as_markdown()
    assert "| `kl_rate" not in shown and "| `value` | number | nats |" in shown
    page = (ROOT / "docs/files.md").read_text(encoding="utf-8")
    found = re.search(r"(?s)<!-- tables -->\n(.*?)<!-- end tables -->", page)
    assert found and found[1].strip() == shown.strip(), "run docs/write_tables.py"
