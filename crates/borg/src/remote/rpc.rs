//! The words of `borg serve`: msgpack maps, one a request or an answer.
//!
//! A request is `{i: number, m: method, a: {name: value}}`, its answer `{i: number, r: value}` or `{i: number,
//! exception_class: name, exception_args: […], …}`. Borg 1.1 and later, `remote.py`.

use crate::msgpack::{Fault, Reader, Token, each_field};

/// An argument of a method.
pub(super) enum Value<'a> {
    Bool(bool),
    Int(i8),
    Number(u32),
    Raw(&'a [u8]),
    List(&'a [Value<'a>]),
    Map(&'a [(&'a str, Value<'a>)]),
}

/// The request with this number.
pub(super) fn request(number: u32, method: &str, args: &[(&str, Value<'_>)]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(64);
    let parts = [("i", Value::Number(number)), ("m", Value::Raw(method.as_bytes())), ("a", Value::Map(args))];
    pack(&Value::Map(&parts), &mut packed);
    packed
}

fn pack(value: &Value<'_>, to: &mut Vec<u8>) {
    match value {
        Value::Bool(value) => to.push(0xc2 | u8::from(*value)),
        Value::Int(value) if *value >= -32 => to.push(value.to_be_bytes()[0]),
        Value::Int(value) => to.extend([0xd0, value.to_be_bytes()[0]]),
        Value::Number(value) => {
            to.push(0xce);
            to.extend(value.to_be_bytes());
        }
        Value::Raw(bytes) => {
            match bytes.len() {
                len @ 0..32 => to.push(0xa0 | len as u8),
                len => {
                    to.push(0xdb);
                    to.extend((len as u32).to_be_bytes());
                }
            }
            to.extend_from_slice(bytes);
        }
        // Neither has more than a few elements.
        Value::List(values) => {
            to.push(0x90 | values.len() as u8);
            values.iter().for_each(|value| pack(value, to));
        }
        Value::Map(fields) => {
            to.push(0x80 | fields.len() as u8);
            for (name, value) in *fields {
                pack(&Value::Raw(name.as_bytes()), to);
                pack(value, to);
            }
        }
    }
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The request's number.
    pub number: u32,
    pub result: Result<Returned, Refusal>,
}

/// What a method returned.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Returned {
    Bytes(Vec<u8>),
    /// Anything else, still packed.
    Packed(Vec<u8>),
}

/// An exception that a method raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Its class.
    pub class: String,
    /// What it says.
    pub message: String,
}

/// The answer at the front of `reader`. On [`Fault::Incomplete`] more must arrive first.
pub(super) fn answer(reader: &mut Reader<'_>) -> Result<Answer, Fault> {
    let (mut number, mut returned, mut class, mut message) = (None, None, None, String::new());
    each_field::<Fault>(reader, |key, value| {
        match key {
            b"i" => number = u32::try_from(value.unsigned()?).ok(),
            b"r" => {
                let packed = value.slice()?;
                returned = Some(match Reader::new(packed).token()? {
                    Token::Bytes(bytes) => Returned::Bytes(bytes.to_vec()),
                    _ => Returned::Packed(packed.to_vec()),
                });
            }
            b"exception_class" => class = Some(value.text()?),
            b"exception_short" => {
                for _ in 0..value.array()? {
                    message.push_str(&value.text()?);
                }
            }
            _ => value.skip()?,
        }
        Ok(())
    })?;
    let result = match (class, returned) {
        (Some(class), _) => Err(Refusal { class, message: message.trim().to_owned() }),
        (None, Some(returned)) => Ok(returned),
        (None, None) => return Err(Fault::Malformed("an answer without a result")),
    };
    Ok(Answer { number: number.ok_or(Fault::Malformed("an answer without a number"))?, result })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_what_borg_packs() {
        let args = [("id", Value::Raw(&[7; 32])), ("lock", Value::Bool(true)), ("n", Value::Int(-1))];
        let mut wanted =
            b"\x83\xa1i\xce\x00\x00\x00\x05\xa1m\xa3get\xa1a\x83\xa2id\xdb\x00\x00\x00\x20".to_vec();
        wanted.extend([7; 32]);
        wanted.extend(b"\xa4lock\xc3\xa1n\xff");
        assert_eq!(request(5, "get", &args), wanted);
    }

    #[test]
    fn answers_are_taken_apart() {
        let read = |packed: &[u8]| answer(&mut Reader::new(packed));
        let bytes = read(b"\x82\xa1i\x05\xa1r\xa2ab").unwrap();
        assert_eq!(bytes, Answer { number: 5, result: Ok(Returned::Bytes(b"ab".to_vec())) });
        let refused =
            read(b"\x83\xa1i\x05\xafexception_class\xa4Oops\xafexception_short\x91\xa3no\n").unwrap();
        assert_eq!(refused.result, Err(Refusal { class: "Oops".into(), message: "no".into() }));
        assert_eq!(read(b"\x82\xa1i\x05\xa1r\xa2a"), Err(Fault::Incomplete));
        assert!(matches!(read(b"Welcome to host\n"), Err(Fault::Malformed(_))));
        assert!(matches!(read(b"\x81\xa1i\x05"), Err(Fault::Malformed(_))));
    }
}
