// SPDX-License-Identifier: Apache-2.0
#include "agent/script.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "agent/failure.hpp"
#include "agent/log_chunk.hpp"
#include "agent/python_text.hpp"
#include "agent/saved_model.hpp"

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
  EXPECT_EQ(argument("{\"a\": null, \"b\": {\"c\": \"x\"}}"), "a=None,b={'c': 'x'}");
  EXPECT_EQ(variable("true"), "true");
  EXPECT_EQ(variable("null"), "");
  EXPECT_EQ(variable("{\"b\": [1, 2], \"a\": \"x\"}"), "{\"a\":\"x\",\"b\":[1,2]}");
}

// What JSON libraries refuse or round: Python's json.loads() does not.
TEST(PythonText, numbers_and_characters_that_python_alone_reads) {
  EXPECT_EQ(argument("123456789012345678901234567890"), "123456789012345678901234567890");
  EXPECT_EQ(argument("-0"), "0");
  EXPECT_EQ(argument("-0.0"), "-0.0");
  EXPECT_EQ(argument("1e16"), "1e+16");
  EXPECT_EQ(argument("1e400"), "inf");
  EXPECT_EQ(argument("1e-400"), "0.0");
  EXPECT_EQ(argument("NaN"), "nan");
  EXPECT_EQ(variable("[NaN, -Infinity]"), "[NaN,-Infinity]");
  EXPECT_EQ(argument("01"), "01");
  EXPECT_EQ(variable("01"), "01");
  EXPECT_EQ(variable("[\"\u00fc\u2603\\ud83d\\ude00\\ud83d\"]"),
            "[\"\\u00fc\\u2603\\ud83d\\ude00\\ud83d\"]");
  EXPECT_EQ(argument("[\"\u00fc\\u200b\\ud83d\\u0007\"]"), "['\u00fc\\u200b\\ud83d\\x07']");
  EXPECT_EQ(argument("[\"it's\", \"\\\"\"]"), "[\"it's\", '\"']");
  EXPECT_EQ(variable("{\"a\": 1, \"a\": 2}"), "{\"a\":2}");
  std::string deep = std::string(500, '[') + std::string(500, ']');
  EXPECT_EQ(variable(deep), deep);
  for (std::string_view text : {"", "1.", "-", "1 2", "[1,]", "{\"a\":}", "{1:2}", "\"\\x\"",
                                "\"a\nb\"", "\"\\u12\"", "True", "nan",
                                "\xef\xbb\xbf"
                                "1",
                                "\""}) {
    EXPECT_FALSE(parse_python(text)) << text;
  }
}

TEST(PythonText, capitals_of_all_alphabets) {
  EXPECT_EQ(python_upper("a-b.\u00fc\u0434"), "A-B.\u00dc\u0414");
  EXPECT_EQ(python_upper("stra\u00dfe"), "STRASSE");
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
  auto variables = script_variables(assignment(), script_of(assignment()), {}, {"/opt/ml", 4});
  EXPECT_EQ(value_of(variables, "SM_HP_BATCH-SIZE"), "32");
  EXPECT_EQ(value_of(variables, "SM_CHANNEL_MY-CHAN"), "/opt/ml/input/data/my-chan");
  EXPECT_EQ(value_of(variables, "SM_CHANNELS"), "[\"my-chan\",\"train\"]");
  EXPECT_EQ(value_of(variables, "SM_NUM_CPUS"), "4");
  EXPECT_EQ(value_of(variables, "SM_FRAMEWORK_PARAMS"),
            "{\"sagemaker_estimator_class_name\":\"TensorFlow\"}");
  EXPECT_EQ(value_of(variables, "SM_USER_ARGS"),
            "[\"-b\",\"x y\",\"--batch-size\",\"32\",\"-z\",\"1\"]");
}

TEST(Script, names_that_differ_in_case_share_a_variable) {
  auto twice = assignment();
  twice.hyperparameters = {{"lr", "1"}, {"LR", "2"}, {"\u00e9", "3"}, {"", "4"}};
  auto variables = script_variables(twice, script_of(twice), {}, {});
  EXPECT_EQ(value_of(variables, "SM_HP_LR"), "2");
  EXPECT_EQ(std::count_if(variables.begin(), variables.end(),
                          [](const auto& pair) { return pair.first == "SM_HP_LR"; }),
            1);
  EXPECT_EQ(script_of(twice).arguments,
            (std::vector<std::string>{"", "4", "--LR", "2", "--lr", "1", "-\u00e9", "3"}));
}

TEST(Script, jobs_of_a_tuning_have_their_own_model_dir) {
  environments::Launcher launcher;
  launcher.features = {"tuned_model_dir"};
  auto model_dir = [&](const char* given) {
    auto tuned = assignment();
    tuned.hyperparameters = {{"_tuning_objective_metric", "loss"}};
    if (given != nullptr) tuned.hyperparameters.emplace_back("model_dir", given);
    Script script = script_of(tuned, launcher);
    EXPECT_EQ(script.hyperparameters.size(), 1u);
    return script.arguments.at(1);
  };
  EXPECT_EQ(model_dir("\"s3://b/m\""), "s3://b/m/j/model");
  EXPECT_EQ(model_dir("\"/opt/ml/model\""), "/opt/ml/model");
  EXPECT_EQ(model_dir(nullptr), "None/j/model");
  auto plain = assignment();
  plain.hyperparameters = {{"_tuning_objective_metric", "loss"}, {"model_dir", "\"s3://b/m\""}};
  EXPECT_EQ(script_of(plain).arguments.at(1), "s3://b/m");
}

TEST(Cluster, one_group_of_all_hosts_unless_the_job_asks_for_several) {
  auto made = assignment();
  made.hosts = {"algo-1", "algo-2"};
  auto variables = script_variables(made, script_of(made), {}, {});
  EXPECT_EQ(value_of(variables, "SM_INSTANCE_GROUPS"), "[\"homogeneousCluster\"]");
  EXPECT_EQ(value_of(variables, "SM_IS_HETERO"), "false");
  EXPECT_EQ(value_of(variables, "SM_DISTRIBUTION_INSTANCE_GROUPS"), "[]");
  made.host = "algo-2";
  made.instance_groups = {{"chiefs", "ml.m5.large", {"algo-1"}},
                          {"workers", "ml.c5.large", {"algo-2"}}};
  made.hyperparameters.emplace_back("sagemaker_mpi_enabled", "true");
  variables = script_variables(made, script_of(made), {}, {});
  EXPECT_EQ(value_of(variables, "SM_CURRENT_INSTANCE_GROUP"), "workers");
  EXPECT_EQ(value_of(variables, "SM_CURRENT_INSTANCE_GROUP_HOSTS"), "[\"algo-2\"]");
  EXPECT_EQ(value_of(variables, "SM_CURRENT_INSTANCE_TYPE"), "ml.c5.large");
  EXPECT_EQ(value_of(variables, "SM_IS_HETERO"), "true");
  EXPECT_EQ(value_of(variables, "SM_DISTRIBUTION_INSTANCE_GROUPS"), "[\"workers\"]");
  EXPECT_EQ(json::serialize(resource_config(made)),
            "{\"current_group_name\":\"workers\",\"current_host\":\"algo-2\","
            "\"current_instance_type\":\"ml.c5.large\",\"hosts\":[\"algo-1\",\"algo-2\"],"
            "\"instance_groups\":[{\"instance_group_name\":\"chiefs\",\"instance_type\":"
            "\"ml.m5.large\",\"hosts\":[\"algo-1\"]},{\"instance_group_name\":\"workers\","
            "\"instance_type\":\"ml.c5.large\",\"hosts\":[\"algo-2\"]}],"
            "\"network_interface_name\":\"eth0\",\"topology\":null}");
}

TEST(Cluster, tf_config_of_parameter_servers_and_of_workers) {
  std::vector<std::string> hosts = {"algo-1", "algo-2"};
  EXPECT_EQ(dump_plain(tf_config_for_parameter_servers(hosts, "algo-1")),
            "{\"cluster\": {\"master\": [\"algo-1:2222\"], \"ps\": [\"algo-1:2223\", "
            "\"algo-2:2223\"], \"worker\": [\"algo-2:2222\"]}, \"environment\": \"cloud\", "
            "\"task\": {\"index\": 0, \"type\": \"master\"}}");
  EXPECT_TRUE(dump_plain(tf_config_for_parameter_servers(hosts, "algo-2"))
                  .ends_with("\"task\": {\"index\": 0, \"type\": \"worker\"}}"));
  EXPECT_EQ(dump_plain(tf_config_for_workers(hosts, "algo-2")),
            "{\"cluster\": {\"worker\": [\"algo-1:8890\", \"algo-2:8890\"]}, \"environment\": "
            "\"cloud\", \"task\": {\"index\": 1, \"type\": \"worker\"}}");
}

TEST(Cluster, tf_config_is_for_hosts_that_take_part) {
  environments::Launcher launcher;
  launcher.features = {"tf_config"};
  auto made = assignment();
  made.hosts = {"algo-1", "algo-2"};
  made.hyperparameters = {{"sagemaker_multi_worker_mirrored_strategy_enabled", "true"}};
  auto config = [&] {
    return value_of(script_variables(made, script_of(made), launcher, {}), "TF_CONFIG");
  };
  EXPECT_NE(config(), "(none)");
  made.hyperparameters.emplace_back("sagemaker_distribution_instance_groups", "[\"others\"]");
  EXPECT_EQ(config(), "(none)");
}

TEST(SavedModel, warnings_are_those_of_the_tensorflow_images) {
  fs::path folder = fs::temp_directory_path() / ("saved-model-" + std::to_string(::getpid()));
  auto warnings = [&] {
    auto list = saved_model_warnings(folder, "/opt/ml/model");
    return list.empty() ? "" : list.front();
  };
  fs::create_directories(folder / "1");
  EXPECT_TRUE(warnings().starts_with("No model artifact is saved under path /opt/ml/model. "));
  ASSERT_TRUE(write_file_atomically(folder / "weights.h5", ""));
  EXPECT_NE(warnings().find("was not saved in the TensorFlow SavedModel"), std::string::npos);
  ASSERT_TRUE(write_file_atomically(folder / "1/saved_model.pb", ""));
  EXPECT_EQ(warnings(), "");
  ASSERT_TRUE(write_file_atomically(folder / "saved_model.pb", ""));
  EXPECT_NE(warnings().find("under directory \"model\", not a numeric"), std::string::npos);
  ASSERT_TRUE(remove_tree(folder));
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
  EXPECT_EQ(error_message_in("ValueError: first\nTraceback (most recent call last):\n  File \"x\"\n"
                             "    raise Diverged()\nDiverged: loss is NaN\nmore\n"),
            "Diverged: loss is NaN\nmore");
  EXPECT_EQ(error_message_in("Traceback (most recent call last):\n  File"),
            "Traceback (most recent call last):\n  File");
  EXPECT_EQ(error_message_in("a.b.errors_impl.InvalidArgumentError: shapes\n  more\n"),
            "a.b.errors_impl.InvalidArgumentError: shapes\n  more");
  EXPECT_EQ(error_message_in("Segmentation fault"), "Segmentation fault");
  EXPECT_EQ(error_message_in(""), "");
}

TEST(Failure, the_kind_is_the_frameworks_own_where_it_said_so) {
  std::vector<std::string> classes = {"AbortedError", "InvalidArgumentError"};
  EXPECT_EQ(failure_kind("tf.InvalidArgumentError: x", classes), "InvalidArgumentError");
  EXPECT_EQ(failure_kind("ValueError: x", classes), "ExecuteUserScriptError");
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
