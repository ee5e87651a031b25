//! From what a directory says to a `switchover.toml` that is right.

use std::fmt::Write as _;

use super::detect::Signs;

/// The longest app name, and the longest process name.
const NAME_LENGTH: usize = 40;
const PROCESS_NAME_LENGTH: usize = 30;

/// Heroku's release phase: a line of the Procfile that is no process.
const RELEASE_PHASE: &str = "release";

/// What is known of how the app is built and run.
#[derive(Debug, Default)]
struct Guess {
    build: Option<String>,
    /// Process type, command, and what to look at.
    processes: Vec<(String, String, &'static str)>,
    hooks: Vec<(&'static str, String)>,
}

/// What a person has to be told of how the proposal differs from what was found.
pub(super) fn remarks(signs: &Signs) -> Vec<String> {
    let mut remarks: Vec<String> = signs.unread.iter().map(|why| format!("{why}: it was left out")).collect();
    let mut taken: Vec<String> = Vec::new();
    for (name, _) in signs.procfile.iter().filter(|(name, _)| name != RELEASE_PHASE) {
        let label = process_name(name);
        if taken.contains(&label) {
            remarks.push(format!("Procfile's {name} was left out: there is a process {label} already"));
        } else if label != *name {
            remarks
                .push(format!("Procfile's {name} is called {label}: names are lower-case letters, digits and dashes"));
        }
        taken.push(label);
    }
    remarks
}

/// A commented file; `switchover validate` accepts it as it is.
pub(super) fn proposal(signs: &Signs) -> String {
    let guess = guess(signs);
    let mut file = String::new();
    let _ = writeln!(file, "# How this app is released. Every key: docs/configuration.md, or `switchover schema`.");
    let _ = writeln!(file, "name = \"{}\"", label(&signs.directory, NAME_LENGTH, "app"));
    if let Some(build) = &guess.build {
        let _ = writeln!(
            file,
            "\n[build]\n# Runs in the revision's own directory, on a copy of the files that git tracks."
        );
        let _ = writeln!(file, "command = {}", text(build));
    }
    for (name, command, look) in &guess.processes {
        let _ = writeln!(file, "\n[process.{name}]");
        if !look.is_empty() {
            let _ = writeln!(file, "# {look}");
        }
        let _ = writeln!(file, "command = {}", text(command));
        if name == "web" {
            file.push_str("# instances = 2\n# health = { path = \"/up\" }      # without it: any answer below 500 on / is healthy\n");
        } else {
            file.push_str("handover = \"stop-first\"           # never two at once; or start-first, drain, lease\n");
        }
    }
    for (stage, command) in &guess.hooks {
        let _ = writeln!(file, "\n[[release.hook]]\nstage = \"{stage}\"\ncommand = {}", text(command));
    }
    file.push_str(
        "\n# [route]\n# hosts = [\"shop.example.com\"]     # without it: every host that no other app names\n\
         \n# [release]\n# bake = \"10m\"                     # how long the new slot is watched with all the traffic\n\
         # keep_warm = \"1h\"                 # how long going back is one switch after that\n",
    );
    file
}

fn guess(signs: &Signs) -> Guess {
    let mut guess = Guess::default();
    if let Some(django) = &signs.django {
        let package = django.package.as_deref().unwrap_or("app");
        let install = if django.requirements { "-r requirements.txt" } else { "django gunicorn" };
        guess.build = Some(format!(
            "python3 -m venv venv && venv/bin/pip install {install} && venv/bin/python manage.py collectstatic --noinput"
        ));
        let web = format!("venv/bin/gunicorn {package}.wsgi --bind 127.0.0.1:$PORT");
        guess.processes.push((
            "web".to_owned(),
            web,
            "ALLOWED_HOSTS must hold the first of [route] hosts: health is asked with it.",
        ));
        if django.celery {
            let worker = format!("venv/bin/celery -A {package} worker");
            guess.processes.push((
                "worker".to_owned(),
                worker,
                "On SIGTERM it finishes its tasks; give it a long enough stop.grace.",
            ));
        }
        guess.hooks.push(("provision", "venv/bin/python manage.py migrate --noinput".to_owned()));
    } else if let Some(node) = &signs.node {
        let install = if node.lock { "npm ci" } else { "npm install" };
        guess.build = Some(if node.build { format!("{install} && npm run build") } else { install.to_owned() });
        let start = match &node.main {
            _ if node.start => "npm start".to_owned(),
            Some(main) => format!("node {main}"),
            None => "node index.js".to_owned(),
        };
        guess.processes.push(("web".to_owned(), start, "It must listen on process.env.PORT."));
    } else if signs.go {
        guess.build = Some("go build -o bin/app .".to_owned());
        guess.processes.push(("web".to_owned(), "bin/app".to_owned(), "It must listen on $PORT."));
    } else if let Some(name) = &signs.cargo {
        guess.build = Some("cargo build --release --locked".to_owned());
        guess.processes.push(("web".to_owned(), format!("target/release/{name}"), "It must listen on $PORT."));
    } else if signs.index {
        let serve = "python3 -m http.server --bind 127.0.0.1 $PORT".to_owned();
        guess.processes.push(("web".to_owned(), serve, ""));
    }
    if !signs.procfile.is_empty() {
        from_procfile(signs, &mut guess);
    }
    if guess.processes.is_empty() {
        guess.processes.push((
            "web".to_owned(),
            "./start.sh --port $PORT".to_owned(),
            "Write here how the app is started. It must listen on $PORT.",
        ));
    }
    guess
}

/// A Procfile says how the app is run, whatever the language.
fn from_procfile(signs: &Signs, guess: &mut Guess) {
    guess.processes.clear();
    for (name, command) in &signs.procfile {
        // Heroku's release phase runs once before the new version takes requests.
        if name == RELEASE_PHASE {
            guess.hooks = vec![("provision", command.clone())];
            continue;
        }
        let name = process_name(name);
        if guess.processes.iter().all(|(known, _, _)| *known != name) {
            guess.processes.push((name, command.clone(), ""));
        }
    }
}

fn process_name(name: &str) -> String {
    label(name, PROCESS_NAME_LENGTH, "worker")
}

/// `text` as a name: a letter first, then letters, digits and dashes.
fn label(text: &str, longest: usize, otherwise: &str) -> String {
    let plain: String = text
        .to_lowercase()
        .chars()
        .map(|letter| if letter.is_ascii_lowercase() || letter.is_ascii_digit() { letter } else { '-' })
        .collect();
    let from_letter = plain.trim_start_matches(|letter: char| !letter.is_ascii_lowercase());
    let cut: String = from_letter.chars().take(longest).collect();
    let name = cut.trim_end_matches('-');
    if name.is_empty() { otherwise.to_owned() } else { name.to_owned() }
}

/// `content` as a TOML text.
fn text(content: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in content.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use expect_test::{Expect, expect};
    use switchover_model::config::parse;

    use super::super::detect::signs;
    use super::*;

    /// The lines of the proposal that are no comment, for a directory `My Shop` with these files.
    #[expect(clippy::needless_pass_by_value, reason = "expect! makes a value")]
    fn check(files: &[(&str, &str)], expected: Expect) {
        let dir = tempfile::tempdir().unwrap();
        let shop = dir.path().join("My Shop");
        for (name, content) in files {
            let file = shop.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, content).unwrap();
        }
        std::fs::create_dir_all(&shop).unwrap();
        let proposal = proposal(&signs(&shop).unwrap());
        if let Err(mistakes) = parse(&proposal, "switchover.toml", Path::new("/srv/shop")) {
            panic!("{}\n{proposal}", mistakes[0]);
        }
        let lines: Vec<&str> = proposal.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn a_directory_without_a_sign_gets_a_place_to_write_the_command() {
        check(
            &[],
            expect![[r#"
            name = "my-shop"
            [process.web]
            command = "./start.sh --port $PORT""#]],
        );
    }

    #[test]
    fn each_kind_of_project_gets_its_build_and_its_command() {
        check(
            &[("package.json", r#"{"scripts":{"start":"x","build":"y"}}"#), ("package-lock.json", "{}")],
            expect![[r#"
                name = "my-shop"
                [build]
                command = "npm ci && npm run build"
                [process.web]
                command = "npm start""#]],
        );
        check(
            &[("package.json", r#"{"main":"server.js"}"#)],
            expect![[r#"
            name = "my-shop"
            [build]
            command = "npm install"
            [process.web]
            command = "node server.js""#]],
        );
        check(
            &[("go.mod", "module shop")],
            expect![[r#"
            name = "my-shop"
            [build]
            command = "go build -o bin/app ."
            [process.web]
            command = "bin/app""#]],
        );
        check(
            &[("Cargo.toml", "[package]\nname = \"shopd\"\n[dependencies]\nname = \"x\"")],
            expect![[r#"
            name = "my-shop"
            [build]
            command = "cargo build --release --locked"
            [process.web]
            command = "target/release/shopd""#]],
        );
        check(
            &[("index.html", "")],
            expect![[r#"
            name = "my-shop"
            [process.web]
            command = "python3 -m http.server --bind 127.0.0.1 $PORT""#]],
        );
    }

    #[test]
    fn django_gets_a_virtual_environment_and_its_worker() {
        check(
            &[("manage.py", ""), ("mysite/wsgi.py", ""), ("requirements.txt", "django\ncelery==5\n")],
            expect![[r#"
            name = "my-shop"
            [build]
            command = "python3 -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python manage.py collectstatic --noinput"
            [process.web]
            command = "venv/bin/gunicorn mysite.wsgi --bind 127.0.0.1:$PORT"
            [process.worker]
            command = "venv/bin/celery -A mysite worker"
            handover = "stop-first"           # never two at once; or start-first, drain, lease
            [[release.hook]]
            stage = "provision"
            command = "venv/bin/python manage.py migrate --noinput""#]],
        );
    }

    #[test]
    fn a_procfile_says_how_the_app_is_run_and_the_language_how_it_is_built() {
        check(
            &[
                ("Procfile", "web: bin/web -p $PORT\n# no: no\nQueue_Worker: bin/work \"a b\"\nrelease: bin/migrate\n"),
                ("go.mod", ""),
            ],
            expect![[r#"
                name = "my-shop"
                [build]
                command = "go build -o bin/app ."
                [process.web]
                command = "bin/web -p $PORT"
                [process.queue-worker]
                command = "bin/work \"a b\""
                handover = "stop-first"           # never two at once; or start-first, drain, lease
                [[release.hook]]
                stage = "provision"
                command = "bin/migrate""#]],
        );
    }

    /// What is remarked in a directory with these files, and which of them told something.
    fn told(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        let signs = signs(dir.path()).unwrap();
        (remarks(&signs), signs.found)
    }

    #[test]
    fn a_process_that_is_renamed_or_left_out_is_said() {
        let (remarks, found) =
            told(&[("Procfile", "web: a\nQueue_Worker: b\nqueue-worker: c\nrelease: d\nmailer: e\n")]);
        assert_eq!(found, ["Procfile"]);
        assert_eq!(
            remarks,
            [
                "Procfile's Queue_Worker is called queue-worker: names are lower-case letters, digits and dashes",
                "Procfile's queue-worker was left out: there is a process queue-worker already",
            ]
        );
    }

    #[test]
    fn a_file_that_tells_nothing_is_not_said_to_have_told_something() {
        for (file, content, why) in [
            ("package.json", "", "package.json is empty"),
            ("package.json", "{ \"scripts\": ", "package.json is not JSON"),
            ("package.json", "[]", "package.json holds no object"),
            ("Procfile", "# nothing yet\n", "Procfile has no line"),
        ] {
            let (remarks, found) = told(&[(file, content)]);
            assert!(found.is_empty(), "{found:?}");
            assert!(remarks.len() == 1 && remarks[0].starts_with(why), "{remarks:?}");
        }
        assert_eq!(told(&[("package.json", "{}")]), (Vec::new(), vec!["package.json".to_owned()]));
    }
}
