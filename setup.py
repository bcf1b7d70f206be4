"""Packaging of the gateway; tool settings are in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

version = Path("gateway/__init__.py").read_text().split('__version__ = "')[1].split('"')[0]

setup(
    name="reana-batch-gateway",
    version=version,
    description="Run REANA workflows as Apptainer jobs on Slurm, HTCondor or one machine",
    long_description=Path("README.md").read_text(),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["gateway", "gateway.*"]),
    package_data={"gateway": ["py.typed", "submitters/*.sh", "store/migrations/*.mako"]},
    install_requires=[
        "alembic>=1.13",
        "click>=8.1",
        "cryptography>=42",
        "fastapi>=0.115",
        "prometheus-client>=0.20",
        "pydantic>=2.6",
        "python-multipart>=0.0.18",
        "PyYAML>=6.0",
        "rich>=13.7",
        "SQLAlchemy>=2.0.30",
        "uvicorn>=0.30",
        "wcmatch>=8.5",
    ],
    extras_require={
        "client": ["fabric>=3.2", "httpx2>=2"],
        "ssh": ["fabric>=3.2"],
        "postgresql": ["psycopg[binary]>=3.1"],
        "dev": [
            "build",
            "fabric>=3.2",
            "httpx2>=2",
            "hypothesis>=6.100",
            "mypy>=1.10",
            "psycopg[binary]>=3.1",
            "pytest>=8",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "ruff>=0.6",
            "schemathesis>=4",
            "types-PyYAML",
        ],
    },
    entry_points={"console_scripts": ["gateway = gateway.cli.main:main"]},
)
