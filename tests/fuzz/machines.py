# SPDX-License-Identifier: Apache-2.0
"""Programs for the fuzz targets of the role machines."""


def seeds(target, vectors, captures):
    """The programs that the fuzzer of that machine starts from."""
    return
    yield
