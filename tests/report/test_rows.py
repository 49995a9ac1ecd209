from __future__ import annotations

from tests.report.cells import cell

from scale_reasoning.report.rows import number_rows
from scale_reasoning.runs.outcome import Cell


def of(name: str, dataset: str = "aime24", model: str = "m", **options: object) -> Cell:
    return cell([], dataset=dataset, model=model, strategy={"name": name, **options}, problems=1, samples=1)


def test_a_row_is_a_strategy_and_a_model_on_all_its_datasets():
    cells = [of(name, dataset) for dataset in ("aime24", "aime25", "amc23") for name in ("cot", "vote")]
    assert number_rows(cells) == [1, 2, 1, 2, 1, 2]
    assert number_rows([of("cot"), of("cot", model="n"), of("cot", "aime25")]) == [1, 2, 1]


def test_settings_set_rows_apart_and_the_order_of_the_cells_numbers_them():
    taus = [of("scale", dataset, tau=tau) for tau in (0.8, 0.2) for dataset in ("aime24", "aime25")]
    assert number_rows(taus) == [1, 1, 2, 2]
    assert number_rows([of("scale", tau=0.2), of("scale", "aime25", tau=0.5)]) == [1, 2]
    assert number_rows([]) == []


def test_settings_that_a_route_does_not_look_at_make_no_row_but_the_same_dataset_twice_does():
    controls = [of("scale", route="system2", random_share=0.5, tau=tau) for tau in (0.2, 0.5)]
    assert number_rows(controls) == [1, 2]
    elsewhere = [of("scale", "aime25", route="system2", random_share=0.5, tau=0.5)]
    assert number_rows([*controls[:1], *elsewhere]) == [1, 1]
