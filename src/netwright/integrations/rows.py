"""Many trials at once as rows of Optuna's database.

``Study.add_trial`` asks the database about each parameter by itself: 16 trials a second, of a hundred parameters each.
Optuna has no public way to add many, so the rows are made here, by the classes and functions that it makes them by.
They are its own affair: where they cannot be imported, trials are added one by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any

from optuna.distributions import CategoricalDistribution, distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import (
    TrialIntermediateValueModel,
    TrialModel,
    TrialParamModel,
    TrialUserAttributeModel,
    TrialValueModel,
)
from optuna.study import Study
from sqlalchemy import Connection, insert

from netwright.integrations.told import Told
from netwright.spaces.grammar import Option

AT_A_TIME = 100
"""Trials whose rows are sent to a database together."""

VALUES = TrialValueModel.__table__
PARAMETERS = TrialParamModel.__table__
ATTRIBUTES = TrialUserAttributeModel.__table__
COURSES = TrialIntermediateValueModel.__table__


def add_together(storage: RDBStorage, study: Study, told: Iterable[Told]) -> None:
    """Adds trials to an empty study in a database, in one transaction."""
    told, now = iter(told), datetime.now()
    number = 0
    with storage.scoped_session() as session, session.begin():
        while some := list(islice(told, AT_A_TIME)):
            added = [
                TrialModel(
                    study_id=study._study_id,
                    number=number + place,
                    state=one.state,
                    datetime_start=now,
                    datetime_complete=now,
                )
                for place, one in enumerate(some)
            ]
            session.add_all(added)
            session.flush()  # which gives them their keys
            rows: dict[Any, list[dict[str, Any]]] = {}
            for model, one in zip(added, some, strict=True):
                key = model.trial_id
                for table, row in _rows(one):
                    row["trial_id"] = key
                    rows.setdefault(table, []).append(row)
            for table, these in rows.items():
                _insert(session.connection(), table, these)
            session.expunge_all()
            number += len(some)


def _rows(told: Told) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The rows of a trial in other tables than that of trials, with their tables."""
    if told.reward is not None:
        reward, kind = TrialValueModel.value_to_stored_repr(told.reward)
        yield VALUES, {"objective": 0, "value": reward, "value_type": kind}
    for name, options, index in told.parameters:  # a categorical parameter is kept as its index
        yield PARAMETERS, {"param_name": name, "param_value": index, "distribution_json": _distribution(options)}
    for key, attribute in told.attributes.items():
        yield ATTRIBUTES, {"key": key, "value_json": json.dumps(attribute)}
    for step, number in enumerate(told.curve, 1):
        value, how = TrialIntermediateValueModel.intermediate_value_to_stored_repr(number)
        yield COURSES, {"step": step, "intermediate_value": value, "intermediate_value_type": how}


@lru_cache(maxsize=1024)
def _distribution(options: tuple[Option, ...]) -> str:
    return distribution_to_json(CategoricalDistribution(options))


def _insert(connection: Connection, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows of equal columns; the many ones, which need no conversion, by the driver itself."""
    if table is not PARAMETERS:
        connection.execute(insert(table), rows)
        return
    compiled = insert(table).compile(dialect=connection.dialect, column_keys=list(rows[0]))
    names = compiled.positiontup
    given: list[Any] = list(rows) if names is None else [tuple(row[name] for name in names) for row in rows]
    connection.exec_driver_sql(str(compiled), given)
