# SPDX-License-Identifier: Apache-2.0
"""Classifies digits with Keras: an ordinary script for SageMaker's script mode."""
import argparse
import glob
import os

import tensorflow as tf

FEATURES = {
    "image": tf.io.FixedLenFeature([64], tf.float32),
    "label": tf.io.FixedLenFeature([], tf.int64),
}


def dataset(folder, batch_size, shuffle):
    files = sorted(glob.glob(os.path.join(folder, "*.tfrecord")))
    records = tf.data.TFRecordDataset(files)
    if shuffle:
        records = records.shuffle(2000, seed=1)

    def parse(batch):
        parsed = tf.io.parse_example(batch, FEATURES)
        return parsed["image"], parsed["label"]

    return records.batch(batch_size).map(parse).prefetch(tf.data.AUTOTUNE)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=0.003)
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--test", default=os.environ.get("SM_CHANNEL_TEST"))
    parser.add_argument("--output", default=os.environ.get("SM_MODEL_DIR", "model"))
    parser.add_argument("--model_dir", default=None, help="sent by the SDK; the model goes to --output")
    args = parser.parse_args()

    tf.keras.utils.set_random_seed(7)
    model = tf.keras.Sequential([
        tf.keras.layers.Input([64]),
        tf.keras.layers.Dense(128, activation="relu"),
        tf.keras.layers.Dropout(0.1),
        tf.keras.layers.Dense(64, activation="relu"),
        tf.keras.layers.Dense(10),
    ])
    model.compile(
        optimizer=tf.keras.optimizers.Adam(args.learning_rate),
        loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"])
    model.fit(dataset(args.train, args.batch_size, True), epochs=args.epochs, verbose=2,
              validation_data=dataset(args.test, 256, False))
    _, accuracy = model.evaluate(dataset(args.test, 256, False), verbose=0)
    print(f"test accuracy: {accuracy:.4f}")
    model.export(os.path.join(args.output, "1"), verbose=False)
    model.save(os.path.join(args.output, "digits.keras"))


if __name__ == "__main__":
    main()
