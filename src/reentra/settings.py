"""The settings: read once from the environment, frozen, every field documented."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What an installation can choose. Each field is the variable ``REENTRA_<FIELD>``."""

    model_config = SettingsConfigDict(env_prefix="REENTRA_", frozen=True, extra="ignore")

    home: Path = Field(
        default_factory=lambda: Path.home() / ".reentra",
        description="The folder below which everything of the embedded default lives.",
    )
    repository: str = Field(
        default="",
        description="The repository's URL or folder; empty means the one that `init` recorded.",
    )
    passphrase: SecretStr | None = Field(
        default=None, description="The repository's passphrase (or a recovery key)."
    )
    passphrase_file: Path | None = Field(
        default=None, description="A file whose first line is the passphrase."
    )
    database_url: str = Field(
        default="",
        description="SQLAlchemy URL of catalog and jobs; empty means SQLite below the home.",
    )
    public_url: str = Field(
        default="http://127.0.0.1:8440",
        description="The address under which people reach `serve`, for links and sign-in.",
    )
    open_jobs_per_person: int = Field(
        default=20,
        ge=1,
        description="How many jobs (downloads too) one person may have waiting or running in"
        " `serve`.",
    )
    log_level: str = Field(default="warning", description="debug, info, warning or error.")

    @property
    def default_repository_path(self) -> Path:
        return self.home / "repository"

    @property
    def config_path(self) -> Path:
        """Where `init` and `tenant connect` record what is not secret."""
        return self.home / "config.json"


def load_settings() -> Settings:
    """Read the environment once."""
    return Settings()
