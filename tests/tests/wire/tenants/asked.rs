//! Requests of every RPC for the item of one tenant.

use tollgate_proto::v1;
use tollgate_tests::values::{delete, expression, get, n, s, save, update};
use tonic::{Code, Status};

use super::{Tenants, invoice, invoice_key};

/// Every RPC that reaches items.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asked {
    Get,
    Save,
    Validate,
    Update,
    Delete,
    Query,
    QueryIndex,
    BatchGet,
    BatchWrite,
    TransactGet,
    TransactWrite,
    Download,
    Presign,
    Upload,
}

pub(super) const ALL: [Asked; 14] = [
    Asked::Get,
    Asked::Save,
    Asked::Validate,
    Asked::Update,
    Asked::Query,
    Asked::QueryIndex,
    Asked::BatchGet,
    Asked::BatchWrite,
    Asked::TransactGet,
    Asked::TransactWrite,
    Asked::Download,
    Asked::Presign,
    Asked::Upload,
    Asked::Delete,
];

impl Asked {
    /// Sends a request for the item of a tenant.
    pub(super) async fn send(self, tenants: &Tenants, caller: &str, tenant: &str) -> Result<(), Status> {
        let gateway = &tenants.gateway;
        match self {
            Asked::Get => {
                let request = get("Invoice", invoice_key(tenant));
                gateway.get(tenants.by(caller, request)).await.outcome.map(|_| ())
            }
            Asked::Save | Asked::Validate => {
                let mut request = save("Invoice", invoice(tenant));
                request.validate_only = matches!(self, Asked::Validate);
                gateway
                    .save(tenants.by(caller, request))
                    .await
                    .outcome
                    .map(|_| ())
            }
            Asked::Update => {
                let request = update("Invoice", invoice_key(tenant), "SET amount = :a", [(":a", n(1))]);
                gateway
                    .update(tenants.by(caller, request))
                    .await
                    .outcome
                    .map(|_| ())
            }
            Asked::Delete => {
                let request = delete("Invoice", invoice_key(tenant));
                gateway
                    .delete(tenants.by(caller, request))
                    .await
                    .outcome
                    .map(|_| ())
            }
            Asked::Query | Asked::QueryIndex => {
                let request = self.query(tenant);
                gateway
                    .query(tenants.by(caller, request))
                    .await
                    .outcome
                    .map(|_| ())
            }
            Asked::BatchGet | Asked::BatchWrite => self.batch(tenants, caller, tenant).await,
            Asked::TransactGet | Asked::TransactWrite => self.transact(tenants, caller, tenant).await,
            Asked::Download | Asked::Presign | Asked::Upload => self.object(tenants, caller, tenant).await,
        }
    }

    pub(super) fn query(self, tenant: &str) -> v1::QueryRequest {
        let (index, text, value) = match self {
            Asked::QueryIndex => ("by_due", "due = :p", format!("TENANT#{tenant}#2027-01-01")),
            _ => ("", "pk = :p", format!("TENANT#{tenant}#7")),
        };
        v1::QueryRequest {
            model: "Invoice".to_owned(),
            index: index.to_owned(),
            key_condition: expression(text, [(":p", s(value))]),
            ..v1::QueryRequest::default()
        }
    }

    async fn batch(self, tenants: &Tenants, caller: &str, tenant: &str) -> Result<(), Status> {
        let mut data = tenants.gateway.data();
        if matches!(self, Asked::BatchGet) {
            let request = v1::BatchGetRequest {
                requests: vec![get("Invoice", invoice_key(tenant))],
                ..v1::BatchGetRequest::default()
            };
            let stream = data.batch_get(tenants.by(caller, request)).await?;
            return stream.into_inner().message().await.map(|_| ());
        }
        let write = v1::BatchWriteRequest {
            write: Some(v1::batch_write_request::Write::Save(save(
                "Invoice",
                invoice(tenant),
            ))),
        };
        let stream = data
            .batch_write(tenants.by(caller, tokio_stream::iter([write])))
            .await?;
        let message = stream.into_inner().message().await?.expect("a result");
        match message.result {
            Some(v1::batch_write_response::Result::Error(error)) => {
                Err(Status::new(Code::from(error.code), error.message))
            }
            _ => Ok(()),
        }
    }

    async fn transact(self, tenants: &Tenants, caller: &str, tenant: &str) -> Result<(), Status> {
        let mut data = tenants.gateway.data();
        if matches!(self, Asked::TransactGet) {
            let request = v1::TransactGetRequest {
                requests: vec![get("Invoice", invoice_key(tenant))],
                ..v1::TransactGetRequest::default()
            };
            return data.transact_get(tenants.by(caller, request)).await.map(|_| ());
        }
        let operation = v1::transact_operation::Operation::Update(update(
            "Invoice",
            invoice_key(tenant),
            "SET amount = :a",
            [(":a", n(2))],
        ));
        let request = v1::TransactWriteRequest {
            operations: vec![v1::TransactOperation {
                operation: Some(operation),
            }],
            ..v1::TransactWriteRequest::default()
        };
        data.transact_write(tenants.by(caller, request)).await.map(|_| ())
    }

    async fn object(self, tenants: &Tenants, caller: &str, tenant: &str) -> Result<(), Status> {
        let mut data = tenants.gateway.data();
        match self {
            Asked::Download => {
                let request = v1::DownloadRequest {
                    model: "Invoice".to_owned(),
                    key: invoice_key(tenant),
                    attribute: "scan".to_owned(),
                    ..v1::DownloadRequest::default()
                };
                let stream = data.download(tenants.by(caller, request)).await?;
                stream.into_inner().message().await.map(|_| ())
            }
            Asked::Presign => {
                let request = v1::PresignRequest {
                    model: "Invoice".to_owned(),
                    key: invoice_key(tenant),
                    attribute: "scan".to_owned(),
                    method: v1::PresignMethod::Get.into(),
                    ..v1::PresignRequest::default()
                };
                match data.presign(tenants.by(caller, request)).await {
                    // encrypted objects have no URL: the caller may ask
                    Err(status) if status.code() == Code::FailedPrecondition => Ok(()),
                    outcome => outcome.map(|_| ()),
                }
            }
            _ => {
                let first = v1::UploadRequest {
                    message: Some(v1::upload_request::Message::Save(save(
                        "Invoice",
                        invoice(tenant),
                    ))),
                };
                data.upload(tenants.by(caller, tokio_stream::iter([first])))
                    .await
                    .map(|_| ())
            }
        }
    }
}
