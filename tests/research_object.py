"""What an independent validator finds in a research object, without the network that it would ask for two contexts."""

import warnings
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from rocrate.vocabs import RO_CRATE
from rocrate_validator import services
from rocrate_validator.utils.http import HttpRequester

BIOSCHEMAS = "https://bioschemas.org/"
CONTEXTS = {
    "https://w3id.org/ro/crate/1.1/context": {
        **RO_CRATE["@context"],  # of a later version, in which these four are elsewhere
        "ComputationalWorkflow": f"{BIOSCHEMAS}ComputationalWorkflow",
        "FormalParameter": f"{BIOSCHEMAS}FormalParameter",
        "input": f"{BIOSCHEMAS}ComputationalWorkflow#input",
        "output": f"{BIOSCHEMAS}ComputationalWorkflow#output",
    },
    "https://w3id.org/ro/terms/workflow-run/context": {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"},
}


def answer(_, url, **options) -> SimpleNamespace:
    """One of the contexts, as its server would answer."""
    content = {"@context": CONTEXTS[url]}
    return SimpleNamespace(status_code=200, headers={"Content-Type": "application/ld+json"}, json=lambda: content)


def problems(folder: Path) -> list[str]:
    """Each breach of the profile Provenance Run Crate 0.5 and of those that it extends."""
    settings = {"rocrate_uri": str(folder), "profile_identifier": "provenance-run-crate", "no_cache": True}
    with patch.object(HttpRequester, "get", answer, create=True), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a library of the validator's
        return [issue.message for issue in services.validate(settings).get_issues()]
