# SPDX-License-Identifier: Apache-2.0
"""Predicts whether a taxi trip's tip is above 20 % of the fare: GZIP TFRecords with a wide, sparse feature
spec, Keras preprocessing layers, an ordinary script for SageMaker's script mode."""
import argparse
import glob
import json
import os

import tensorflow as tf

NUMBERS = ["trip_miles", "fare", "trip_seconds"]
BUCKETS = {"trip_start_hour": 24, "trip_start_day": 8, "trip_start_month": 13,
           "pickup_community_area": 78, "dropoff_community_area": 78}
WORDS = {"payment_type": 8, "company": 64}
FLOATS = ["trip_miles", "fare", "tips", "pickup_latitude", "pickup_longitude", "dropoff_latitude",
          "dropoff_longitude"]
INTEGERS = ["trip_start_timestamp", "trip_start_month", "trip_start_hour", "trip_start_day", "trip_seconds",
            "pickup_community_area", "dropoff_community_area", "pickup_census_tract", "dropoff_census_tract"]
# Every feature may be absent: an empty list in the record.
FEATURES = ({name: tf.io.VarLenFeature(tf.float32) for name in FLOATS}
            | {name: tf.io.VarLenFeature(tf.int64) for name in INTEGERS}
            | {name: tf.io.VarLenFeature(tf.string) for name in WORDS})


def dataset(folder, batch_size, shuffle):
    files = sorted(path for path in glob.glob(os.path.join(folder, "**"), recursive=True)
                   if os.path.isfile(path))
    records = tf.data.TFRecordDataset(files, compression_type="GZIP", num_parallel_reads=4)
    if shuffle:
        records = records.shuffle(10_000, seed=1)

    def parse(batch):
        parsed = tf.io.parse_example(batch, FEATURES)

        def dense(name, default):
            return tf.sparse.to_dense(tf.sparse.reset_shape(
                parsed[name], [parsed[name].dense_shape[0], 1]), default_value=default)

        inputs = {name: tf.math.log1p(tf.maximum(tf.cast(dense(name, 0), tf.float32), 0.0))
                  for name in NUMBERS}
        inputs |= {name: tf.clip_by_value(dense(name, 0), 0, size - 1) for name, size in BUCKETS.items()}
        inputs |= {name: dense(name, "") for name in WORDS}
        label = tf.cast(dense("tips", 0.0) > 0.2 * dense("fare", 0.0), tf.float32)
        return inputs, label

    return records.batch(batch_size).map(parse, num_parallel_calls=2).prefetch(tf.data.AUTOTUNE)


def make_model():
    inputs, columns = {}, []
    for name in NUMBERS:
        inputs[name] = tf.keras.Input([1], name=name)
        columns.append(inputs[name])
    for name, size in BUCKETS.items():
        inputs[name] = tf.keras.Input([1], name=name, dtype="int64")
        columns.append(tf.keras.layers.Flatten()(tf.keras.layers.Embedding(size, 8)(inputs[name])))
    for name, size in WORDS.items():
        inputs[name] = tf.keras.Input([1], name=name, dtype="string")
        hashed = tf.keras.layers.Hashing(num_bins=size)(inputs[name])
        columns.append(tf.keras.layers.Flatten()(tf.keras.layers.Embedding(size, 8)(hashed)))
    hidden = tf.keras.layers.Concatenate()(columns)
    for width in (64, 32):
        hidden = tf.keras.layers.Dense(width, activation="relu")(hidden)
    return tf.keras.Model(inputs, tf.keras.layers.Dense(1, activation="sigmoid")(hidden))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--eval", default=os.environ.get("SM_CHANNEL_EVAL"))
    args, _ = parser.parse_known_args()

    tf.keras.utils.set_random_seed(7)
    model = make_model()
    model.compile(optimizer="adam", loss="binary_crossentropy",
                  metrics=["accuracy", tf.keras.metrics.AUC(name="auc")])
    model.fit(dataset(args.train, args.batch_size, True), epochs=args.epochs, verbose=2)
    metrics = model.evaluate(dataset(args.eval, 1024, False), verbose=0, return_dict=True)
    print(f"eval accuracy: {metrics['accuracy']:.4f} auc: {metrics['auc']:.4f}")
    with open(os.path.join(os.environ.get("SM_OUTPUT_DATA_DIR", "."), "metrics.json"), "w") as file:
        json.dump(metrics, file)
    model.save(os.path.join(os.environ.get("SM_MODEL_DIR", "."), "taxi.keras"))


if __name__ == "__main__":
    main()
