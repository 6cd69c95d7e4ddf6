"""python -m dataset_tools"""

import sys

from dataset_tools.commands import main

if __name__ == "__main__":
    sys.exit(main())
