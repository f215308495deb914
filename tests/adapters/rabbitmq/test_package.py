from __future__ import annotations

import subprocess
import sys

import unibus_rabbitmq
from unibus import spi


def test_the_package_has_the_adapter_and_the_five_headings() -> None:
    assert issubclass(unibus_rabbitmq.RabbitMQAdapter, spi.Adapter)
    lines = (unibus_rabbitmq.__doc__ or "").splitlines()
    for heading in ("URL", "Mapping", "Promises", "Limits", "Native objects"):
        assert heading in lines


def test_a_missing_pika_is_an_error_that_says_what_to_run() -> None:
    program = "import sys; sys.modules['pika'] = None\nimport unibus_rabbitmq"

    done = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30
    )

    assert done.stderr.splitlines()[-1] == (
        "unibus.errors.ConfigurationError: RabbitMQ needs pika, which is not installed; run:"
        " pip install 'unibus[rabbitmq]'"
    )
