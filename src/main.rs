//! The binary.
use futures::StreamExt;
#[tokio::main]
async fn main() {
    let path = std::env::args().filter(|a| a != "run").nth(1).unwrap_or_default();
    let text = std::fs::read_to_string(&path).unwrap_or(path);
    let engine = waterwheel::Engine::in_memory().unwrap();
    let mut script = match engine.script(&text) {
        Ok(s) => s,
        Err(e) => {
            eprintln!("{e}");
            std::process::exit(1)
        }
    };
    let mut started = vec![];
    while let Some(o) = script.next().await {
        match o {
            Ok(waterwheel::Outcome::Done(t)) => eprintln!("{t}"),
            Ok(waterwheel::Outcome::Rows(b)) => println!(
                "{}",
                datafusion::arrow::util::pretty::pretty_format_batches(&[b]).unwrap()
            ),
            Ok(waterwheel::Outcome::Query(q)) => {
                let mut s = q.stream();
                while let Some(u) = s.next().await {
                    match u {
                        Ok(u) => println!(
                            "{}",
                            datafusion::arrow::util::pretty::pretty_format_batches(&[u.batch]).unwrap()
                        ),
                        Err(e) => eprintln!("{e}"),
                    }
                }
                eprintln!("{:?}", q.wait().await);
            }
            Ok(waterwheel::Outcome::Started(q)) => started.push(q),
            Err(e) => eprintln!("ERR {e}"),
        }
    }
    for q in started {
        let m = q.wait().await.unwrap();
        eprintln!(
            "done: intervals={} rows_in={} rows_out={} busy={}",
            m.intervals, m.rows_in, m.rows_out, m.busy_us
        );
    }
}
