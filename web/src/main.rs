//! Starts Kubarium in the browser.

fn main() {
    kubarium_web::start();
}
