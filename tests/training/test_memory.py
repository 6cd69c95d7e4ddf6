"""A training process keeps the memory that it frees."""

import json
import mmap
import platform

import pytest

from tests.support.processes import run_warm

FAULTS = """
import json, resource, sys
import recbole_micro

def of_a_third_block():
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        b"x" * 2**26
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    return faults

imported = of_a_third_block()
recbole_micro.run("BPR", "tiny", config_dict=json.loads(sys.argv[1]), saved=False)
print(imported, of_a_third_block())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told")
def test_a_training_process_keeps_the_memory_that_it_frees(given, tmp_path):
    ran = run_warm("-c", FAULTS, json.dumps(given), cwd=tmp_path)
    imported, trained = map(int, ran.stdout.split()[-2:])
    assert trained < 2**26 // mmap.PAGESIZE / 10 < imported
