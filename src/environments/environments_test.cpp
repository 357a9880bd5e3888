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
  for (std::string_view text : {"", "x", "a/b", ":1", "a:", "a:1-cpu-pyx"}) {
    EXPECT_EQ(parsed(text), "invalid") << text;
  }
}

TEST(Catalogue, the_nearest_python_of_the_host_is_taken) {
  EXPECT_EQ(resolved("r/tensorflow-training:2.19-cpu-py312"), "tensorflow-2.19.1-py311");
  EXPECT_EQ(resolved("r/tensorflow-training:2.19.0-cpu-py310"), "tensorflow-2.19.1-py310");
  EXPECT_EQ(resolved("tensorflow:2.16"), "tensorflow-2.16.2-py311");
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
  EXPECT_EQ(load("torchrun", "m").error().message, "there is no [launcher.m]");
  auto loaded = load("torchrun", "l");
  ASSERT_TRUE(loaded);
  Launcher launcher = loaded->recipes().at(0).launcher;
  EXPECT_EQ(launcher.module, "c:d");
  EXPECT_EQ(launcher.variables.at("X") + launcher.variables.at("Y"), "21");
  fs::remove(file);
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
  ASSERT_TRUE(make_directories(environment.site_packages));
  ASSERT_TRUE(write_file_atomically(environment.site_packages / "framework.py", "name = 'base'\n"));
  fs::create_symlink(*python, environment.python);
  auto layer = builder().make_layer(environment, folder_ / "layer").value();
  Command command;
  command.arguments = {layer.string(), "-c",
                       "import framework, sys; print(framework.name, sys.prefix)"};
  EXPECT_EQ(run(command)->output, "base " + (folder_ / "layer").string() + "\n");
}

}  // namespace trainyard::environments
