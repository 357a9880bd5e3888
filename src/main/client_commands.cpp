// SPDX-License-Identifier: Apache-2.0
#include "main/client_commands.hpp"

#include <memory>

#include "cli/commands.hpp"

namespace trainyard {

namespace {

int status_of(const Result<int>& result) {
  if (result) return *result;
  fmt::print(stderr, "trainyard: {}\n", result.error().message);
  return 1;
}

}  // namespace

int with_service(const cli::Where& where, const std::function<Result<int>(cli::Service&)>& use) {
  auto access = cli::find_access(where);
  if (!access) return status_of(Failure(access.error()));
  cli::Service service(*access);
  return status_of(use(service));
}

CLI::App* add_service_command(CLI::App& app, const char* name, const char* help,
                              cli::Where& where) {
  auto* command = app.add_subcommand(name, help);
  command->add_option("--data-dir", where.data_dir, "Of a service on this machine")
      ->envname("TRAINYARD_DATA_DIR")
      ->each([&where](const std::string&) { where.is_data_dir_given = true; })
      ->capture_default_str();
  command->add_option("--endpoint", where.endpoint,
                      "URL of the service. Default: AWS_ENDPOINT_URL, or what is in the data dir");
  return command;
}

namespace {

struct JobCommand {
  cli::Where where;
  std::string name;
  bool as_json = false;
  bool is_following = false;
};

void add_env(CLI::App& app, const Defaults& defaults, Run& run) {
  auto options = std::make_shared<JobCommand>();
  options->where.data_dir = defaults.data_dir;
  auto* command = add_service_command(
      app, "env", "Print shell lines that point AWS clients at the service", options->where);
  command->add_flag("--json", options->as_json, "As JSON");
  command->footer("eval \"$(trainyard env)\"");
  command->callback([options, &run] {
    run = [options] {
      return with_service(options->where, [&](cli::Service& service) {
        return cli::print_environment(service.access(), options->as_json);
      });
    };
  });
}

void add_exec(CLI::App& app, const Defaults& defaults, Run& run) {
  auto where = std::make_shared<cli::Where>();
  where->data_dir = defaults.data_dir;
  auto* command = add_service_command(
      app, "exec", "Run a program for which *.amazonaws.com is the service, also over HTTPS",
      *where);
  command->footer(
      "trainyard exec [OPTIONS] -- COMMAND ARGUMENTS...\ntrainyard exec -- python launch.py\nExit "
      "status: the program's.");
  command->callback([where, arguments = defaults.program, &run] {
    run = [where, arguments] {
      return with_service(*where,
                          [&](cli::Service& service) { return cli::execute(service, arguments); });
    };
  });
}

void add_sdk_config(CLI::App& app, const Defaults& defaults, Run& run) {
  struct Options : cli::SdkConfigOptions {
    cli::Where where;
  };
  auto options = std::make_shared<Options>();
  options->where.data_dir = defaults.data_dir;
  auto* command = add_service_command(app, "sdk-config", "Print the SageMaker SDK's defaults file",
                                      options->where);
  command->add_option("--output", options->file, "Write this file");
  command->add_flag("--force", options->is_forced, "Replace a file that says something else");
  command->footer("trainyard sdk-config --output ~/.config/sagemaker/config.yaml");
  command->callback([options, &run] {
    run = [options] {
      return with_service(options->where, [&](cli::Service& service) {
        return cli::print_sdk_config(service, *options);
      });
    };
  });
}

void add_train(CLI::App& app, const Defaults& defaults, Run& run) {
  struct Options : cli::TrainOptions {
    cli::Where where;
  };
  auto options = std::make_shared<Options>();
  options->where.data_dir = defaults.data_dir;
  auto* command =
      add_service_command(app, "train", "Train a script and follow it to its end", options->where);
  command->add_option("script", options->script, "train.py, or a shell script")->required();
  command->add_option("--framework,--image", options->image, "tensorflow:2.19, or an image URI")
      ->required();
  command->add_option("--source-dir", options->source_dir,
                      "Folder to send; the script is in it. Default: the script alone");
  command->add_option("--channel", options->channels, "NAME=s3://bucket/prefix; repeat");
  command->add_option("--hp", options->hyperparameters, "NAME=VALUE hyperparameter; repeat");
  command->add_option("--env", options->variables, "NAME=VALUE environment variable; repeat");
  command->add_option("--name", options->name, "Of the job; made up when not given");
  command->add_option("--bucket", options->bucket, "For source and model");
  command->add_option("--max-runtime", options->max_runtime_seconds, "Seconds")
      ->capture_default_str();
  command->add_flag("--detach", options->is_detached, "Do not follow");
  command->add_flag("--json", options->as_json, "The job's description as JSON at the end");
  command->footer(
      "trainyard train train.py --framework tensorflow:2.19 "
      "--channel train=s3://my-bucket/train --hp epochs=3\n"
      "Exit status: 0 completed, 1 failed, 2 stopped.");
  command->callback([options, &run] {
    run = [options] {
      return with_service(options->where,
                          [&](cli::Service& service) { return cli::train(service, *options); });
    };
  });
}

void add_jobs(CLI::App& app, const Defaults& defaults, Run& run) {
  struct Options : cli::ListOptions {
    cli::Where where;
  };
  auto options = std::make_shared<Options>();
  options->where.data_dir = defaults.data_dir;
  auto* command =
      add_service_command(app, "jobs", "List training jobs, newest first", options->where);
  command->add_option("--name", options->name_contains, "Only names that contain this");
  command->add_option("--status", options->status,
                      "Only InProgress, Completed, Failed, Stopping or Stopped ones");
  command->add_option("--limit", options->limit, "At most so many, up to 100")
      ->capture_default_str();
  command->add_flag("--json", options->as_json, "As JSON");
  command->callback([options, &run] {
    run = [options] {
      return with_service(options->where,
                          [&](cli::Service& service) { return cli::list_jobs(service, *options); });
    };
  });
}

void add_job_commands(CLI::App& app, const Defaults& defaults, Run& run) {
  using Use = Result<int> (*)(cli::Service&, const JobCommand&);
  auto add = [&](const char* name, const char* help, Use use) {
    auto options = std::make_shared<JobCommand>();
    options->where.data_dir = defaults.data_dir;
    auto* command = add_service_command(app, name, help, options->where);
    command->add_option("job", options->name, "Name of the training job")->required();
    command->callback([options, use, &run] {
      run = [options, use] {
        return with_service(options->where,
                            [&](cli::Service& service) { return use(service, *options); });
      };
    });
    return std::pair(command, options);
  };
  auto [describe, describe_options] =
      add("describe", "Show a training job", [](cli::Service& service, const JobCommand& options) {
        return cli::describe_job(service, options.name, options.as_json);
      });
  describe->add_flag("--json", describe_options->as_json, "As JSON, as DescribeTrainingJob has it");
  auto [logs, logs_options] = add(
      "logs", "Print a training job's log", [](cli::Service& service, const JobCommand& options) {
        return cli::print_logs(service, options.name, options.is_following);
      });
  logs->add_flag("-f,--follow", logs_options->is_following, "Until the job ends");
  add("stop", "Stop a training job; its model so far is kept",
      [](cli::Service& service, const JobCommand& options) {
        return cli::stop_job(service, options.name);
      });
  add("interrupt",
      "Take a spot job's instance away, as a spot interruption does; it goes on from its "
      "checkpoints",
      [](cli::Service& service, const JobCommand& options) {
        return cli::interrupt_job(service, options.name);
      });
}

void add_environments(CLI::App& app, const Defaults& defaults, Run& run) {
  auto options = std::make_shared<cli::EnvironmentOptions>();
  auto target = std::make_shared<std::string>();
  options->file = defaults.environments_file;
  options->folder = defaults.data_dir + "/environments";
  auto* command = app.add_subcommand("environments", "The managed Python environments");
  command->require_subcommand(0, 1);
  command->add_option("--environments", options->file, "TOML file that lists them")
      ->envname("TRAINYARD_ENVIRONMENTS")
      ->capture_default_str();
  command->add_option("--environments-dir", options->folder, "Where they are built")
      ->envname("TRAINYARD_ENVIRONMENTS_DIR")
      ->capture_default_str();
  command->add_option("--uv", options->uv, "The uv program")->envname("TRAINYARD_UV");
  command->add_flag("--json", options->as_json, "As JSON");
  command->callback([=, &run] {
    if (!run) run = [=] { return status_of(cli::list_environments(*options)); };
  });
  command->add_subcommand("list", "Show what there is (the default)");
  auto* prepare = command->add_subcommand("prepare", "Build one now, not at its first job");
  prepare->add_option("image", *target, "tensorflow:2.19, or an image URI")->required();
  prepare->callback(
      [=, &run] { run = [=] { return status_of(cli::prepare_environment(*options, *target)); }; });
  auto* remove = command->add_subcommand("remove", "Delete a built one");
  remove->add_option("name", *target, "As listed")->required();
  remove->callback(
      [=, &run] { run = [=] { return status_of(cli::remove_environment(*options, *target)); }; });
}

void add_image(CLI::App& app, Run& run) {
  auto options = std::make_shared<cli::ImageOptions>();
  auto image = std::make_shared<std::string>();
  options->docker = "unix:///var/run/docker.sock";
  auto* command = app.add_subcommand("image", "Images of jobs that run in containers");
  command->require_subcommand(1);
  auto* check = command->add_subcommand(
      "check", "Say whether an image keeps to SageMaker's contract for training images");
  check->add_option("image", *image, "As a job names it; Docker has to have it")->required();
  check->add_option("--docker", options->docker, "Where the daemon listens")
      ->envname("DOCKER_HOST")
      ->capture_default_str();
  check->add_option("--docker-tls", options->docker_tls, "Folder of ca.pem, cert.pem, key.pem")
      ->envname("DOCKER_CERT_PATH");
  check->add_flag("--json", options->as_json, "As JSON");
  check->footer("Exit status: 1 when it does not.");
  check->callback(
      [=, &run] { run = [=] { return status_of(cli::check_image(*options, *image)); }; });
}

void add_store(CLI::App& app, const Defaults& defaults, Run& run) {
  auto data_dir = std::make_shared<std::string>(defaults.data_dir);
  auto* command = app.add_subcommand("store", "Look after the embedded store of this machine");
  command->require_subcommand(1);
  auto add = [&](const char* name, const char* help, Result<int> (*use)(const std::string&)) {
    auto* action = command->add_subcommand(name, help);
    action->add_option("--data-dir", *data_dir, "Of the service; it may run")
        ->envname("TRAINYARD_DATA_DIR")
        ->capture_default_str();
    action->callback([=, &run] { run = [=] { return status_of(use(*data_dir)); }; });
    return action;
  };
  add("usage", "Objects and bytes of each bucket", cli::print_store_usage);
  add("verify", "Read all objects and compare them with their checksums", cli::verify_store)
      ->footer("Exit status: 1 when something is damaged.");
}

}  // namespace

void add_client_commands(CLI::App& app, const Defaults& defaults, Run& run) {
  add_env(app, defaults, run);
  add_exec(app, defaults, run);
  add_sdk_config(app, defaults, run);
  add_train(app, defaults, run);
  add_jobs(app, defaults, run);
  add_job_commands(app, defaults, run);
  add_data_commands(app, defaults, run);
  add_environments(app, defaults, run);
  add_image(app, run);
  add_store(app, defaults, run);
}

}  // namespace trainyard
