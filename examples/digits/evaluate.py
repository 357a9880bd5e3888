# SPDX-License-Identifier: Apache-2.0
"""Downloads model.tar.gz, loads the SavedModel in it with TensorFlow and measures it on the test records."""
import argparse
import pathlib
import sys
import tarfile
import urllib.parse

import boto3
import tensorflow as tf

from train import dataset

HERE = pathlib.Path(__file__).resolve().parent

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model_data", help="s3://bucket/job/output/model.tar.gz")
    parser.add_argument("--data", type=pathlib.Path, default=HERE / "tfrecords")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("model"))
    args = parser.parse_args()

    uri = urllib.parse.urlparse(args.model_data)
    args.folder.mkdir(parents=True, exist_ok=True)
    archive = args.folder / "model.tar.gz"
    boto3.client("s3").download_file(uri.netloc, uri.path.lstrip("/"), str(archive))
    with tarfile.open(archive) as tar:
        # Debian 12's Python is older than extraction filters.
        tar.extractall(args.folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))

    model = tf.saved_model.load(str(args.folder / "1"))
    right = total = 0
    for images, labels in dataset(args.data / "test", 256, False):
        guesses = tf.argmax(model.serve(images), axis=1)
        right += int(tf.reduce_sum(tf.cast(guesses == labels, tf.int32)))
        total += len(labels)
    print(f"test accuracy: {right / total:.4f} ({right} of {total} digits)")
    sys.exit(right / total <= 0.9)
