//! `prestage audit`: who asked for what, and who opened which secret.

mod check;
mod export;

use prestage_connect::Coordinators;
use prestage_coordinator::audit::{AuditEntry, AuditLine};
use prestage_coordinator::service::MESSAGE_BYTES_MAX;
use prestage_proto::v1::{self, audit_service_client::AuditServiceClient};
use serde_json::{Value, json};

use crate::{
    args::AuditArgs,
    connect::Connection,
    error::CliError,
    output::{Output, list as elements, table, text},
};

const PAGE: i32 = 1000;

type AuditClient = AuditServiceClient<Coordinators>;

fn client(connection: &Connection) -> AuditClient {
    AuditServiceClient::new(connection.coordinators.clone())
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
}

/// Shows the log, exports it, or checks an export.
pub async fn audit(args: &AuditArgs, output: Output) -> Result<(), CliError> {
    match (&args.check, &args.export) {
        (Some(file), _) => check::check(file, output),
        (None, Some(file)) => export::export(args, file, output).await,
        (None, None) => show(args, output).await,
    }
}

async fn show(args: &AuditArgs, output: Output) -> Result<(), CliError> {
    let connection = Connection::open(&args.remote, false).await?;
    let read = read(&mut client(&connection), args.after).await;
    connection.close().await?;
    output.print(&json!({ "records": read? }), |document| {
        let mut rows = table(&["when", "who", "what", "on what", "outcome"]);
        for record in elements(document, "records") {
            let fields = ["at", "principal", "action", "target", "outcome"];
            rows.add_row(fields.map(|field| text(record, field).to_owned()));
        }
        rows.to_string()
    })
}

async fn read(client: &mut AuditClient, mut after: u64) -> Result<Vec<Value>, CliError> {
    let mut records = Vec::new();
    loop {
        let page = page(client, after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(records);
        };
        after = last.number;
        for entry in &page {
            records.push(serde_json::to_value(AuditLine::from(entry))?);
        }
    }
}

/// Entries after one, in order; none at the log's end.
async fn page(
    client: &mut AuditClient,
    after: u64,
    page_size: i32,
) -> Result<Vec<AuditEntry>, CliError> {
    let request = v1::ListAuditRecordsRequest { page_size, after };
    let records = client.list_audit_records(request).await?.into_inner().records;
    let entries = records.into_iter().map(AuditEntry::try_from);
    let entries = entries.collect::<Result<_, _>>();
    entries.map_err(|error| CliError::failed(error.to_string(), "ask another coordinator"))
}
