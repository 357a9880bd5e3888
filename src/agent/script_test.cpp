// SPDX-License-Identifier: Apache-2.0
#include "agent/script.hpp"

#include <gtest/gtest.h>

#include "agent/failure.hpp"
#include "agent/log_chunk.hpp"
#include "agent/python_text.hpp"

namespace trainyard::agent {

namespace {

std::string argument(const std::string& text) {
  return as_argument(decode_hyperparameter(text));
}

std::string variable(const std::string& text) {
  return as_variable(decode_hyperparameter(text));
}

protocol::Assignment assignment() {
  protocol::Assignment made;
  made.job_name = "j";
  made.hyperparameters = {{"sagemaker_program", "\"train.py\""},
                          {"sagemaker_submit_directory", "\"s3://b/src.tar.gz\""},
                          {"sagemaker_job_name", "\"j\""},
                          {"sagemaker_estimator_class_name", "\"TensorFlow\""},
                          {"z", "1"},
                          {"batch-size", "32"},
                          {"b", "\"x y\""}};
  for (const char* name : {"train", "my-chan"}) {
    Channel channel;
    channel.name = name;
    made.channels.push_back(channel);
  }
  return made;
}

std::string value_of(const protocol::StringPairs& variables, std::string_view name) {
  for (const auto& [other, value] : variables) {
    if (other == name) return value;
  }
  return "(none)";
}

std::string lines(std::string_view bytes, bool is_final = false) {
  std::string text;
  auto chunk = cut_lines(bytes, 100, 0, is_final);
  for (const auto& line : chunk.lines) text += "<" + line.text + ">";
  return text + fmt::format(" {}", chunk.end);
}

}  // namespace

// As Python's str() and json.dumps() write them: contract.md G.5, G.6.
TEST(PythonText, values_as_arguments_and_variables) {
  EXPECT_EQ(argument("3"), "3");
  EXPECT_EQ(argument("0.1"), "0.1");
  EXPECT_EQ(argument("1e-05"), "1e-05");
  EXPECT_EQ(argument("1.0"), "1.0");
  EXPECT_EQ(argument("true"), "True");
  EXPECT_EQ(argument("null"), "");
  EXPECT_EQ(argument("\"a b\""), "a b");
  EXPECT_EQ(argument("not json"), "not json");
  EXPECT_EQ(argument("[1, 2.5, \"it's\", true, null]"), "[1, 2.5, \"it's\", True, None]");
  EXPECT_EQ(argument("{\"b\": 2, \"a\": 1}"), "a=1,b=2");
  EXPECT_EQ(variable("true"), "true");
  EXPECT_EQ(variable("null"), "");
  EXPECT_EQ(variable("{\"b\": [1, 2], \"a\": \"x\"}"), "{\"a\":\"x\",\"b\":[1,2]}");
}

TEST(Script, hyperparameters_become_sorted_arguments_without_the_toolkits_own) {
  Script script = script_of(assignment());
  EXPECT_EQ(script.program, "train.py");
  EXPECT_EQ(script.submit_directory, "s3://b/src.tar.gz");
  EXPECT_EQ(script.arguments,
            (std::vector<std::string>{"-b", "x y", "--batch-size", "32", "-z", "1"}));
  auto named = assignment();
  named.environment = {{"SAGEMAKER_PROGRAM", "other.py"}};
  EXPECT_EQ(script_of(named).program, "other.py");
}

TEST(Script, variables_keep_dashes) {
  auto variables =
      script_variables(assignment(), script_of(assignment()), {"/opt/ml", "m:main", 4});
  EXPECT_EQ(value_of(variables, "SM_HP_BATCH-SIZE"), "32");
  EXPECT_EQ(value_of(variables, "SM_CHANNEL_MY-CHAN"), "/opt/ml/input/data/my-chan");
  EXPECT_EQ(value_of(variables, "SM_CHANNELS"), "[\"my-chan\",\"train\"]");
  EXPECT_EQ(value_of(variables, "SM_NUM_CPUS"), "4");
  EXPECT_EQ(value_of(variables, "SM_FRAMEWORK_PARAMS"),
            "{\"sagemaker_estimator_class_name\":\"TensorFlow\"}");
  EXPECT_EQ(value_of(variables, "SM_USER_ARGS"),
            "[\"-b\",\"x y\",\"--batch-size\",\"32\",\"-z\",\"1\"]");
}

TEST(Script, the_kind_of_program_decides_how_it_starts) {
  Script script = script_of(assignment());
  auto text = [&](bool has_setup) {
    return shell_quoted(script_command(script, kind_of(script, has_setup), "python"));
  };
  EXPECT_EQ(text(false), "python train.py -b 'x y' --batch-size 32 -z 1");
  EXPECT_EQ(text(true), "python -m train -b 'x y' --batch-size 32 -z 1");
  script.program = "run.sh";
  EXPECT_EQ(text(true).substr(0, 11), "/bin/sh -c ");
}

TEST(Failure, the_last_exception_of_the_output_is_the_message) {
  EXPECT_EQ(
      error_message_in("Traceback (most recent call last):\n  File \"x\"\n"
                       "ValueError: first\n\nDuring handling of the above exception, "
                       "another…\n\nTraceback (most recent call last):\nKeyError: 'second'\n"),
      "KeyError: 'second'");
  EXPECT_EQ(error_message_in("a.b.errors_impl.InvalidArgumentError: shapes\n  more\n"),
            "a.b.errors_impl.InvalidArgumentError: shapes\n  more");
  EXPECT_EQ(error_message_in("Segmentation fault"), "Segmentation fault");
  EXPECT_EQ(error_message_in(""), "");
}

TEST(Failure, a_reason_has_its_ends_and_fits) {
  std::string text =
      failure_text("ExecuteUserScriptError", 1, std::string(5000, 'x'), "python t.py");
  std::string reason = algorithm_failure(text, 1);
  EXPECT_LE(reason.size(), kMaxFailureReason);
  EXPECT_TRUE(reason.starts_with("AlgorithmError: ExecuteUserScriptError:\nExitCode 1\n"));
  EXPECT_TRUE(reason.ends_with("Command \"python t.py\", exit code: 1"));
}

TEST(LogChunk, whole_lines_are_taken_and_the_rest_waits) {
  EXPECT_EQ(lines("a\nb\nhalf"), "<a><b> 104");
  EXPECT_EQ(lines("a\nb\nhalf", true), "<a><b><half> 108");
  EXPECT_EQ(lines("\n\n"), "<><> 102");
  EXPECT_EQ(lines(""), " 100");
  EXPECT_EQ(lines("10%\r50%\r100%\r\nnext\n"), "<100%><next> 119");
  EXPECT_EQ(lines("\xff\n"), "<\xef\xbf\xbd> 102");
}

TEST(LogChunk, a_line_without_an_end_is_cut) {
  auto chunk = cut_lines(std::string(300'000, 'x'), 0, 0, false);
  ASSERT_EQ(chunk.lines.size(), 1u);
  EXPECT_EQ(chunk.lines[0].text.size(), 256u << 10);
}

}  // namespace trainyard::agent
