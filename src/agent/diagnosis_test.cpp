// SPDX-License-Identifier: Apache-2.0
#include "agent/diagnosis.hpp"

#include <gtest/gtest.h>

#include "agent/traceback.hpp"

namespace trainyard::agent {

namespace {

std::string traceback(const std::string& error, const std::string& file = "/opt/ml/code/train.py") {
  return "epoch 1\nTraceback (most recent call last):\n"
         "  File \"/opt/ml/code/train.py\", line 30, in <module>\n    main()\n    ~~~~^^\n"
         "  File \"" +
         file + "\", line 12, in main\n    step()\n" + error + "\n";
}

Diagnosis of(const std::string& output, int exit_code = 1) {
  Evidence evidence;
  evidence.exit_code = exit_code;
  evidence.output = output;
  evidence.channels = {"test", "train"};
  return diagnose(evidence);
}

}  // namespace

TEST(Traceback, the_last_one_counts_with_its_innermost_own_frame) {
  auto error = find_python_error(traceback("KeyError: 'a'") +
                                 "\nDuring handling of the above exception, another exception "
                                 "occurred:\n\n" +
                                 traceback("my.Problem: two\nlines", "/v/site-packages/k/m.py"));
  ASSERT_TRUE(error);
  EXPECT_EQ(error->name, "my.Problem");
  EXPECT_EQ(error->message, "my.Problem: two\nlines");
  EXPECT_EQ(error->frame()->text(), "train.py:30 in <module>");
  EXPECT_EQ(error->frames.back().text(), "k/m.py:12 in main");
}

TEST(Traceback, ignored_exceptions_and_launchers_do_not_count) {
  auto error = find_python_error(traceback("ValueError: real") +
                                 "Exception ignored in: <function X.__del__>\n" +
                                 "Traceback (most recent call last):\n  File \"x\", line 1, in f\n"
                                 "TypeError: ignored\n");
  EXPECT_EQ(error->message, "ValueError: real");
  error = find_python_error(traceback("ValueError: worker") +
                            traceback("torch.x.errors.ChildFailedError: \n====\ntrain.py FAILED"));
  EXPECT_TRUE(error->message.starts_with("ValueError: worker"));
}

TEST(Traceback, a_syntax_error_has_its_place) {
  auto error = find_python_error(
      "  File \"/opt/ml/code/train.py\", line 3\n    def (:\n        ^\nSyntaxError: invalid "
      "syntax\n");
  EXPECT_EQ(error->frame()->text(), "train.py:3");
  EXPECT_FALSE(find_python_error("all is well\n"));
  EXPECT_FALSE(find_python_error(""));
  EXPECT_FALSE(find_python_error("Traceback (most recent call last):"));
}

TEST(Diagnosis, an_exception_is_told_with_its_place) {
  Diagnosis found = of(traceback("ValueError: bad rate\n  second line"));
  EXPECT_EQ(found.cause, "ValueError: bad rate (train.py:12 in main)");
  EXPECT_EQ(found.detail, "ValueError: bad rate (train.py:12 in main)\n  second line");
  EXPECT_EQ(of(traceback("ModuleNotFoundError: No module named 'six.moves'")).advice,
            "add 'six' to requirements.txt in source_dir");
}

TEST(Diagnosis, what_the_kernel_counted_comes_before_what_was_printed) {
  Evidence evidence;
  evidence.exit_code = 137;
  evidence.output = traceback("ValueError: x");
  evidence.memory = "killed for memory: the job's limit is 1.0 GiB";
  EXPECT_EQ(diagnose(evidence).cause, evidence.memory);
  evidence.memory = "";
  EXPECT_EQ(diagnose(evidence).cause,
            "ended as by SIGKILL (signal 9); it last printed: ValueError: x");
  evidence.exit_code = 200;
  EXPECT_EQ(diagnose(evidence).cause, "exit code 200; it last printed: ValueError: x");
}

TEST(Diagnosis, a_channel_is_missing_only_when_it_is) {
  EXPECT_TRUE(of(traceback("KeyError: 'SM_CHANNEL_VALIDATION'"))
                  .cause.starts_with("missing channel 'validation', there are test, train: "));
  EXPECT_TRUE(of(traceback("FileNotFoundError: [Errno 2] No such file or directory: "
                           "'/opt/ml/input/data/eval/a.csv'"))
                  .cause.starts_with("missing channel 'eval', "));
  EXPECT_EQ(of(traceback("FileNotFoundError: '/opt/ml/input/data/train/a.csv'")).cause,
            "FileNotFoundError: '/opt/ml/input/data/train/a.csv' (train.py:12 in main)");
}

TEST(Diagnosis, a_full_disk_is_named) {
  Evidence evidence;
  evidence.output = traceback("OSError: [Errno 28] No space left on device");
  evidence.free_bytes = 0;
  EXPECT_EQ(diagnose(evidence).cause,
            "disk full, 0 B free: OSError: [Errno 28] No space left on device (train.py:12 in "
            "main)");
}

TEST(Diagnosis, without_an_exception_the_last_words_are_told) {
  EXPECT_EQ(of("a\nb\n", 3).cause, "exit code 3; it last printed: b");
  EXPECT_EQ(of("", 3).cause, "exit code 3; it printed nothing");
  EXPECT_EQ(of("", 3).detail, "exit code 3; it printed nothing");
  Diagnosis usage = of("usage: train.py [-h]\ntrain.py: error: unrecognized arguments: --r 1\n", 2);
  EXPECT_EQ(usage.cause, "train.py: error: unrecognized arguments: --r 1");
  EXPECT_TRUE(usage.advice.starts_with("hyperparameters become arguments"));
}

TEST(Diagnosis, data_loss_has_an_offset) {
  std::string name = "tensorflow.python.framework.errors_impl.DataLossError: {{node X}} ";
  auto loss = [](const std::string& error) { return find_data_loss(traceback(error)); };
  EXPECT_EQ(loss(name + "corrupted record at 512 [Op:IteratorGetNext]")->offset, 512u);
  EXPECT_EQ(loss(name + "truncated record at 12' failed with")->offset, 12u);
  EXPECT_FALSE(loss("ValueError: corrupted record at 512"));
  EXPECT_FALSE(loss(name + "corrupted record at x")->offset);
  EXPECT_FALSE(loss(name + "inflate() failed with error -3")->offset);
  Evidence evidence;
  evidence.output = traceback(name + "corrupted record at 512");
  evidence.broken_record = "s3://b/k: record 3, at byte 512: its data do not match";
  EXPECT_EQ(diagnose(evidence).cause,
            "DataLossError: s3://b/k: record 3, at byte 512: its data do not match (train.py:12 "
            "in main)");
}

TEST(Diagnosis, the_text_says_each_thing_once) {
  EXPECT_EQ(of("", 3).text(), "cause: exit code 3; it printed nothing");
  EXPECT_EQ(of(traceback("ModuleNotFoundError: No module named 'six'\nmore")).text(),
            "cause: ModuleNotFoundError: No module named 'six' (train.py:12 in main)\n"
            "advice: add 'six' to requirements.txt in source_dir\nit printed:\nmore");
}

}  // namespace trainyard::agent
