"""A training process keeps the memory that it frees."""

import json
import mmap
import platform

import pytest

from tests.support.processes import run_code

FAULTS = """
import json, resource, sys
import recbole_micro

if sys.argv[2] == "train":
    recbole_micro.run("BPR", "tiny", config_dict=json.loads(sys.argv[1]), saved=False)
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * 2**26
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told")
def test_a_training_process_keeps_the_memory_that_it_frees(given, tmp_path):
    def faults_of_a_third_block(what):
        return int(run_code(FAULTS, json.dumps(given), what, cwd=tmp_path).stdout.splitlines()[-1])

    pages = 2**26 // mmap.PAGESIZE
    assert faults_of_a_third_block("train") < pages / 10 < faults_of_a_third_block("import")
