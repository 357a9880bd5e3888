// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "base/random.hpp"
#include "base/subprocess.hpp"
#include "base/text.hpp"
#include "environments/builder.hpp"

namespace trainyard::environments {

namespace {

std::string parsed(std::string_view text) {
  auto image = ImageUri::parse(text);
  if (!image) return "invalid";
  return fmt::format("{} {} {} {}", image->repository, image->version, image->processor,
                     image->python);
}

const std::vector<Interpreter> kPythons = {{"3.8", "/usr/bin/python3.8", "/usr"},
                                           {"3.10", "/usr/bin/python3.10", "/usr"},
                                           {"3.11", "/usr/bin/python3.11", "/usr"}};

Catalogue catalogue() {
  return Catalogue::load(fs::path(TRAINYARD_ROOT) / "config/environments.toml", kPythons).value();
}

std::string resolved(std::string_view text) {
  auto recipe = catalogue().resolve(ImageUri::parse(text).value());
  return recipe ? recipe->name : recipe.error().message;
}

}  // namespace

TEST(ImageUri, the_forms_of_aws_and_of_the_command_line) {
  EXPECT_EQ(
      parsed("763104351884.dkr.ecr.us-west-2.amazonaws.com/tensorflow-training:2.19-cpu-py312"),
      "tensorflow-training 2.19 cpu 3.12");
  EXPECT_EQ(parsed("1.dkr.ecr.cn-north-1.amazonaws.com.cn/"
                   "pytorch-training:2.6.0-gpu-py310-cu124-ubuntu22.04-sagemaker"),
            "pytorch-training 2.6.0 gpu 3.10");
  EXPECT_EQ(parsed("tensorflow:2.19"), "tensorflow 2.19  ");
  EXPECT_EQ(parsed("246618743249.dkr.ecr.us-west-2.amazonaws.com/"
                   "sagemaker-scikit-learn:1.2-1-cpu-py3"),
            "sagemaker-scikit-learn 1.2 cpu ");
  for (std::string_view text : {"", "x", "a/b", ":1", "a:", "a:1-cpu-pyx"}) {
    EXPECT_EQ(parsed(text), "invalid") << text;
  }
}

TEST(Catalogue, the_nearest_python_of_the_host_is_taken) {
  EXPECT_EQ(resolved("r/tensorflow-training:2.19-cpu-py312"), "tensorflow-2.19.1-py311");
  EXPECT_EQ(resolved("r/tensorflow-training:2.19.0-cpu-py310"), "tensorflow-2.19.1-py310");
  EXPECT_EQ(resolved("tensorflow:2.16"), "tensorflow-2.16.2-py311");
}

TEST(Catalogue, scikit_learn_and_plain_python_have_environments) {
  EXPECT_EQ(resolved("r/sagemaker-scikit-learn:1.2-1-cpu-py3"), "scikit-learn-1.2.1-py310");
  EXPECT_EQ(resolved("r/sagemaker-scikit-learn:1.4-2-cpu-py3"), "scikit-learn-1.4.2-py310");
  EXPECT_EQ(resolved("python:3"), "python-3-py311");
  EXPECT_EQ(resolved("r/pytorch-training:2.5-cpu-py311"), "pytorch-2.5.1-py311");
  EXPECT_EQ(resolved("pytorch:distribution"), "pytorch-distribution");
}

TEST(Catalogue, what_a_frameworks_images_do_comes_with_the_environment) {
  auto recipe = catalogue().resolve(ImageUri::parse("tensorflow:2.19").value());
  ASSERT_TRUE(recipe);
  EXPECT_EQ(recipe->launcher.module, "sagemaker_tensorflow_container.training:main");
  EXPECT_EQ(recipe->launcher.variables.at("TF_CPP_MIN_LOG_LEVEL"), "1");
  EXPECT_TRUE(recipe->launcher.has("tf_config"));
  EXPECT_FALSE(recipe->launcher.has("torchrun"));
}

TEST(Catalogue, a_launcher_is_checked_and_an_environment_goes_over_it) {
  fs::path file = fs::temp_directory_path() / ("launchers-" + random_hex(4) + ".toml");
  auto load = [&](std::string_view feature, std::string_view name) {
    std::string text = fmt::format(
        "[launcher.l]\nmodule = \"a:b\"\nvariables = {{ X = \"1\", Y = \"1\" }}\n"
        "features = [\"{}\"]\n[[environment]]\nframework = \"f\"\nversion = \"1\"\n"
        "pythons = [\"3.11\"]\nlauncher = \"{}\"\nmodule = \"c:d\"\nvariables = {{ X = \"2\" }}\n",
        feature, name);
    EXPECT_TRUE(write_file_atomically(file, text));
    return Catalogue::load(file, kPythons);
  };
  EXPECT_NE(load("no", "l").error().message.find("unknown feature 'no'"), std::string::npos);
  EXPECT_TRUE(load("torchrun", "m").error().message.ends_with("there is no [launcher.m]"));
  auto loaded = load("torchrun", "l");
  ASSERT_TRUE(loaded);
  Launcher launcher = loaded->recipes().at(0).launcher;
  EXPECT_EQ(launcher.module, "c:d");
  EXPECT_EQ(launcher.variables.at("X") + launcher.variables.at("Y"), "21");
  fs::remove(file);
}

// What is said of an [[environment]] that holds `lines`, beside framework and version.
std::string said_of(std::string_view lines) {
  fs::path file = fs::temp_directory_path() / ("entries-" + random_hex(4) + ".toml");
  EXPECT_TRUE(write_file_atomically(
      file, fmt::format("companions = [\"pip\"]\n[[environment]]\nframework = \"f\"\n"
                        "version = \"1\"\n{}\n",
                        lines)));
  auto loaded = Catalogue::load(file, kPythons);
  fs::remove(file);
  if (!loaded) return loaded.error().message.substr(file.string().size());
  Recipe recipe = loaded->recipes().at(0);
  return fmt::format("{} {} [{}]", recipe.name, recipe.interpreter.program.string(),
                     fmt::join(recipe.packages, " "));
}

TEST(Catalogue, an_environment_is_built_or_taken_from_a_folder_or_the_distribution) {
  EXPECT_EQ(said_of("pythons = [\"3.11\"]\npackages = [\"x\"]"),
            "f-1-py311 /usr/bin/python3.11 [x pip]");
  EXPECT_EQ(said_of("pythons = [\"3.11\"]\npackages = [\"x\"]\ncompanions = false"),
            "f-1-py311 /usr/bin/python3.11 [x]");
  EXPECT_EQ(said_of("path = \"/srv/envs/x/\""), "f-1 /srv/envs/x/bin/python []");
  EXPECT_EQ(said_of("distribution = true"), "f-1 /usr/bin/python3 []");
  constexpr const char* kOneOf = "an [[environment]] has one of packages";
  for (std::string_view lines : {"", "distribution = false", "distribution = true\npath = \"/x\"",
                                 "packages = []\npath = \"/x\""}) {
    EXPECT_NE(said_of(lines).find(kOneOf), std::string::npos) << lines;
  }
  EXPECT_EQ(said_of("path = \"envs/x\""), ", line 2: path is an absolute path of a folder");
  EXPECT_EQ(said_of("distribution = \"yes\""), ", line 2: distribution is true or false");
  EXPECT_EQ(said_of("packages = [\"x\"]"),
            ", line 2: an [[environment]] needs framework, version, pythons");
}

TEST(Catalogue, an_unknown_image_names_what_is_known) {
  std::string text = resolved("r/tensorflow-training:1.4-cpu-py27");
  EXPECT_TRUE(text.starts_with("no managed environment for tensorflow-training:1.4; known (cpu): "))
      << text;
  EXPECT_NE(text.find("tensorflow:2.19,"), std::string::npos);
  EXPECT_NE(resolved("r/tensorflow-training:2.19-gpu-py312").find("-gpu;"), std::string::npos);
}

// Builds with a stand-in for uv that writes down its calls.
class BuilderTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_directories(folder_));
    script("for last; do :; done; case $1 in venv) mkdir -p $last/bin;; esac");
    recipe_.name = "fake-1-py311";
    recipe_.interpreter = {"3.11", "/usr/bin/python3.11", "/usr"};
    recipe_.packages = {"one", "two"};
  }
  void TearDown() override { static_cast<void>(remove_tree(folder_)); }

  void script(const std::string& body) {
    ASSERT_TRUE(write_file_atomically(
        folder_ / "uv",
        "#!/bin/sh\necho $1 >> " + (folder_ / "calls").string() + "\n" + body + "\n", 0755));
  }
  std::string calls() { return replace_all(read_file(folder_ / "calls").value_or(""), "\n", " "); }
  Builder builder() { return Builder(folder_ / "environments", folder_ / "uv"); }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  Recipe recipe_;
  OnProgress quiet_ = [](const std::string&) {};
};

TEST_F(BuilderTest, an_environment_is_built_once) {
  EXPECT_EQ(builder().find(recipe_).error().code, Code::not_found);
  ASSERT_TRUE(builder().ensure(recipe_, quiet_, {}));
  ASSERT_TRUE(builder().ensure(recipe_, quiet_, {}));
  EXPECT_EQ(calls(), "venv pip ");
  EXPECT_EQ(builder().list()->size(), 1u);
  EXPECT_TRUE(builder().remove("fake-1-py311"));
  EXPECT_EQ(builder().remove("fake-1-py311").error().code, Code::not_found);
}

TEST_F(BuilderTest, a_failure_says_what_uv_said_and_the_next_build_begins_anew) {
  script(
      "case $1 in venv) mkdir -p $5;; pip) echo 'Resolved 3'; echo 'error: no such one'; exit 1;; "
      "esac");
  EXPECT_EQ(builder().ensure(recipe_, quiet_, {}).error().message, "error: no such one");
  script("for last; do :; done; case $1 in venv) mkdir $last;; esac");
  EXPECT_TRUE(builder().ensure(recipe_, quiet_, {})) << "mkdir fails where something is left";
}

TEST_F(BuilderTest, a_layer_sees_the_base_and_keeps_its_own) {
  auto python = find_program("/usr/bin/python3.11");
  if (!python) GTEST_SKIP() << "no /usr/bin/python3.11";
  auto environment = builder().ensure(recipe_, quiet_, {}).value();
  fs::path packages = environment.site_folders.front();
  ASSERT_TRUE(make_directories(packages));
  ASSERT_TRUE(write_file_atomically(packages / "framework.py", "name = 'base'\n"));
  fs::create_symlink(*python, environment.python);
  auto layer = builder().make_layer(environment, folder_ / "layer").value();
  Command command;
  command.arguments = {layer.string(), "-c",
                       "import framework, sys; print(framework.name, sys.prefix)"};
  EXPECT_EQ(run(command)->output, "base " + (folder_ / "layer").string() + "\n");
}

// A virtual environment that somebody made by hand.
class ExistingTest : public testing::Test {
 protected:
  void SetUp() override {
    Command make;
    make.arguments = {"/usr/bin/python3", "-m", "venv", "--without-pip", folder_.string()};
    auto made = run(make);
    ASSERT_TRUE(made && made->exit_code == 0) << made->output;
    recipe_.name = "ours-1";
    recipe_.existing = Existing{folder_ / "bin/python", {{"ours", ""}}};
  }
  void TearDown() override { static_cast<void>(remove_tree(folder_)); }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  Builder builder_{folder_ / "built", folder_ / "no-uv"};
  Recipe recipe_;
};

TEST_F(ExistingTest, what_it_lacks_is_said) {
  EXPECT_EQ(builder_.ensure(recipe_, nullptr, {}).error().message,
            fmt::format("{0}/bin/python has no ours: {0}/bin/python -m pip install ours",
                        folder_.string()));
  recipe_.existing->program = folder_ / "elsewhere/bin/python";
  EXPECT_NE(builder_.find(recipe_).error().message.find("path names no virtual environment"),
            std::string::npos);
  recipe_.existing = Existing{"/usr/bin/python3", {{"no_such", "python3-no-such"}}};
  EXPECT_EQ(builder_.find(recipe_).error().message,
            "/usr/bin/python3 has no no_such: apt-get install python3-no-such");
}

TEST_F(ExistingTest, a_layer_over_it_sees_its_packages) {
  for (const auto& entry : fs::directory_iterator(folder_ / "lib")) {
    ASSERT_TRUE(write_file_atomically(entry.path() / "site-packages/ours.py", "name = 'ours'\n"));
  }
  auto environment = builder_.ensure(recipe_, nullptr, {});
  ASSERT_TRUE(environment) << environment.error().message;
  EXPECT_EQ(environment->folder, folder_);
  EXPECT_EQ(environment->interpreter_prefix, "/usr");
  auto layer = builder_.make_layer(*environment, folder_ / "layer").value();
  Command command;
  command.arguments = {layer.string(), "-c", "import ours, sys; print(ours.name, sys.prefix)"};
  EXPECT_EQ(run(command)->output, "ours " + (folder_ / "layer").string() + "\n");
  EXPECT_TRUE(builder_.list()->empty()) << "nothing was built";
}

}  // namespace trainyard::environments
