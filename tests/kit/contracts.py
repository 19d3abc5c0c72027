"""
A contract for import-linter: what a part of the house may import, as a closed list.

The contracts that import-linter brings forbid names; whoever forgets a name
permits it.  This one permits names.
"""

from __future__ import annotations

from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

_EVERYTHING, _HOUSE = "everything", "house"


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


class MayImportContract(Contract):
    """
    Modules may import themselves and what is listed, nothing else.

    Options:
        modules: Packages or modules, by full name, with everything below them.
        may_import: What they may import besides each other; ``*`` for all of the house.
        limits: ``house`` judges only imports of the own package (the default),
            ``everything`` the standard library and other packages as well.
    """

    modules: Any = fields.ListField(subfield=fields.StringField())
    may_import: Any = fields.ListField(subfield=fields.StringField())
    limits: Any = fields.StringField(required=False, default=_HOUSE)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: FBT001, ARG002 - import-linter's signature
        """Find every direct import that is on no list."""
        permitted = [*self.modules, *self.may_import]
        root = self.session_options["root_packages"][0]
        for name in self.modules:
            if name not in graph.modules:
                raise ValueError(f"there is no module {name}")
        found = [
            (importer, imported)
            for importer in sorted(graph.modules)
            if any(_within(importer, name) for name in self.modules)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if self.limits == _EVERYTHING or _within(imported, root)
            if not any(_within(imported, name) for name in permitted)
        ]
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name every import that breaks it."""
        for importer, imported in check.metadata["found"]:
            output.print_error(f"{importer} must not import {imported}")
