# SPDX-License-Identifier: Apache-2.0
"""Writes scikit-learn's handwritten digits (8 x 8 pixels, 10 classes) as TFRecords: train/ and test/."""
import argparse
import pathlib

import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def example(image, label):
    """One record: 64 floats between 0 and 1, and the digit."""
    feature = {
        "image": tf.train.Feature(float_list=tf.train.FloatList(value=image / 16.0)),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def write(folder, images, labels, shards):
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        path = folder / f"digits-{shard:05d}-of-{shards:05d}.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for image, label in zip(images[shard::shards], labels[shard::shards]):
                writer.write(example(image, int(label)))
    print(f"{folder}: {len(images)} records in {shards} files")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("tfrecords"))
    output = parser.parse_args().output
    data = load_digits()
    train_x, test_x, train_y, test_y = train_test_split(
        data.data, data.target, test_size=0.2, random_state=7, stratify=data.target)
    write(output / "train", train_x, train_y, shards=4)
    write(output / "test", test_x, test_y, shards=1)
