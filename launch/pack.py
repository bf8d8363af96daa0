"""Pack files into a dataset, or a dataset into images: python | mpirun | srun | a Slurm array of launch/pack.py

    launch/pack.py PATH ... --test PATH ... --out DIR       foreign event files -> zarr shards
    launch/pack.py --images DATASET --out DIR               dataset -> WebDataset tars of PNG images

Every rank takes its share, and the last to finish publishes. Started again, the same command continues.
"""

import argparse
import sys
from pathlib import Path

from hpc_nuvlm.engine.stop import StopRequest

stop = StopRequest().install()  # before the imports that take a second, in which a signal would kill the process

from hpc_nuvlm.workers import launch


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="event files, or folders of them")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the new dataset")
    parser.add_argument("--jobs", type=int, default=1, help="processes that each rank starts; 1: the rank alone")
    parser.add_argument("--overwrite", action="store_true", help="replace another dataset that the folder holds")
    parser.add_argument("--test", nargs="+", type=Path, default=[], metavar="PATH", help="these become the test split")
    parser.add_argument("--format", help="found out if not given")
    parser.add_argument("--detector", help="name in configs/detectors; the format's own if not given")
    parser.add_argument("--split", help="fractions by content hash, for instance train=0.8,val=0.1,test=0.1")
    parser.add_argument("--classes", help="keep only these labels, for instance nue_cc,numu_cc,nc")
    parser.add_argument("--images", type=Path, metavar="DATASET", help="export the images of this dataset")
    parser.add_argument("--size", help="image size HEIGHTxWIDTH; the whole readout if not given")
    parser.add_argument("--pool", type=int, default=1, help="native pixels summed into one image pixel, each way")
    parser.add_argument("--crop", default="fixed", help="centre of the image: fixed, centroid or vertex")
    parser.add_argument("--curve", default="linear", help="charge to gray: linear, sqrt or log")
    parser.add_argument("--full-scale", type=float, default=255.0, help="charge that becomes 255")
    arguments = parser.parse_intermixed_args()

    def describe():
        from hpc_nuvlm.arguments import packing_of

        return packing_of(arguments, sys.argv[1:])

    return launch(describe, arguments.out, arguments.jobs, stop, overwrite=arguments.overwrite)


if __name__ == "__main__":
    sys.exit(main())
