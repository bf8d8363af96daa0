"""Settings: frozen trees of named values, read from YAML plus `a.b=c` overrides; a mistake names key and remedy."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hpc_nuvlm.errors import ConfigError

PositiveInt = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Settings = TypeVar("Settings", bound=Part)


def load_settings(kind: type[Settings], path: Path, overrides: tuple[str, ...] = ()) -> Settings:
    """Read a YAML file, apply `a.b=c` overrides (c is YAML), and check it; ConfigError names key, value and remedy."""
    try:
        fields = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; configurations are in configs/") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; name a YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    if not isinstance(fields, dict):
        raise ConfigError(f"{path}: must be a mapping of keys to values")
    for override in overrides:
        _apply_override(fields, override)
    return parse_settings(kind, fields, where=str(path))


def parse_settings(kind: type[Settings], fields: dict, where: str) -> Settings:
    """Settings of this kind (Run, Simulation) from plain fields."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(kind, where, problem) for problem in error.errors())) from error


def _apply_override(fields: dict, override: str) -> None:
    name, equals, value = override.partition("=")
    if not equals:
        raise ConfigError(f"override {override!r}: write it as key=value, for instance optimizer.lr=1e-4")
    *parents, last = name.split(".")
    for parent in parents:
        fields = fields.setdefault(parent, {})
        if not isinstance(fields, dict):
            raise ConfigError(f"override {override!r}: {parent!r} holds a value, not further keys")
    fields[last] = _parse_value(value)


def _parse_value(text: str) -> Any:
    # YAML 1.1 reads 1e-4 as a string because it has no dot; a person means the number.
    try:
        return float(text) if "e" in text.lower() else yaml.safe_load(text)
    except ValueError:
        return yaml.safe_load(text)


def _explain(kind: type[Part], where: str, problem: dict) -> str:
    path = [str(part) for part in problem["loc"] if part not in ("cnn", "cvn", "vit", "vlm")]
    name = ".".join(path)
    if problem["type"] == "extra_forbidden":
        keys = _keys_at(kind, path[:-1])
        close = difflib.get_close_matches(path[-1], keys, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(keys)}"
        return f"{where}: {name}: no such key; {hint}"
    if problem["type"] == "missing":
        return f"{where}: {name}: is required and not given; add it, or give {name}=... on the command line"
    return f"{where}: {name} = {problem.get('input')!r}: {problem['msg']}"


def _keys_at(kind: type[Part], path: list[str]) -> list[str]:
    """Names of the keys of the part at `path`; every model family's where it is the model."""
    parts: list[type[BaseModel]] = [kind]
    for name in path:
        parts = [
            inner
            for part in parts
            if name in part.model_fields
            for inner in _part_types(part.model_fields[name].annotation)
        ]
    return sorted({key for part in parts for key in part.model_fields})


def _part_types(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [kind for argument in getattr(annotation, "__args__", ()) for kind in _part_types(argument)]
