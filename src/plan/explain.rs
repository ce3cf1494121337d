//! EXPLAIN: the D-Stream graph with the lineage rule, watermark and state of each node.

use crate::dstream::graph::{Graph, Node, Op, WatermarkRule};
use crate::plan::widths::human;

/// The graph as text, one node after the other from the outputs down.
pub fn explain(graph: &Graph) -> Vec<String> {
    let mut lines = Vec::new();
    for output in &graph.outputs {
        let mut sources = graph.sources_of(output).into_iter();
        let ends = if sources.all(|place| ends_by_itself(graph, place)) {
            "ends with its input"
        } else {
            "runs until stopped"
        };
        let mut line = format!("Output {} ({ends}", output.name);
        if let Some(fetch) = output.fetch {
            line += &format!("; at most {fetch} rows");
        }
        lines.push(line + ")");
        lines.extend(output.notes.iter().map(|note| format!("  note: {note}")));
        for node in &output.nodes {
            describe(graph, *node, 1, &mut lines);
        }
    }
    lines
}

fn ends_by_itself(graph: &Graph, source: usize) -> bool {
    let node = graph.sources.get(source).and_then(|id| graph.nodes.get(*id));
    !matches!(node.map(|n| &n.op), Some(Op::Source(source)) if !source.bounded)
}

fn describe(graph: &Graph, id: usize, depth: usize, lines: &mut Vec<String>) {
    let Some(node) = graph.nodes.get(id) else { return };
    let indent = "  ".repeat(depth);
    lines.push(format!("{indent}[{id}] {}", node.label));
    if let Op::Source(source) = &node.op {
        lines.push(format!("{indent}      columns: {}", columns(node)));
        lines.extend(source.predicate.iter().map(|asked| {
            let asked = asked.human_display();
            format!("{indent}      rows asked for: {asked}")
        }));
    }
    lines.push(format!("{indent}      lineage: {}", node.lineage.describe()));
    lines.push(format!("{indent}      watermark: {}", watermark(node)));
    lines.push(format!("{indent}      state: {}", node.state));
    for input in &node.inputs {
        describe(graph, *input, depth + 1, lines);
    }
}

/// What is read; a count of rows reads none.
fn columns(node: &Node) -> String {
    let names: Vec<&str> = node.schema.fields().iter().map(|f| f.name().as_str()).collect();
    match names.is_empty() {
        true => "none".to_string(),
        false => names.join(", "),
    }
}

fn watermark(node: &Node) -> String {
    match (&node.op, node.watermark) {
        (Op::Source(source), _) => match &source.event_time {
            Some(time) => {
                format!(
                    "least over the splits of the greatest {} less {}",
                    time.column,
                    human(time.delay_ns)
                )
            }
            None => "not used by this query".to_string(),
        },
        (_, WatermarkRule::Inputs) => "least of the inputs".to_string(),
        (_, WatermarkRule::Clock) => "the recorded clock".to_string(),
        (_, WatermarkRule::AtEnd) => "none before the end of the input".to_string(),
        (_, WatermarkRule::Splits) => "least over the splits".to_string(),
    }
}
