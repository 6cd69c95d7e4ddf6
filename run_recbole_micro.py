"""python run_recbole_micro.py --model=MICRO --dataset=ml-100k; the same as `recbole-micro train`."""

import sys

from recbole_micro.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
